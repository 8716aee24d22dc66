/*
 * pool_worker: a worker whose main() is ready at once, as small as can be: what is left of the time
 * of a pool is the kernel's, the loader's and the master's.
 *
 * usage: pool_worker
 * Says so on NOTIFY_FD or to NOTIFY_SOCKET, where there is one, and waits for a signal to end it.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int say_on(const char *number)
{
    return write(atoi(number), "\n", 1) == 1 ? 0 : -1;
}

static int say_to(const char *path)
{
    static const char message[] = "READY=1";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ssize_t sent = sendto(fd, message, sizeof message - 1, 0, (const struct sockaddr *)&address,
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1));
    close(fd);
    return sent < 0 ? -1 : 0;
}

int main(void)
{
    const char *number = getenv("NOTIFY_FD"), *path = getenv("NOTIFY_SOCKET");
    if ((number && say_on(number) < 0) || (path && say_to(path) < 0)) {
        perror("pool_worker: unable to say that it is ready");
        return 1;
    }
    pause();
    return 0;
}
