/*
 * floor_listen: the least that a program can do to be connected to. The floor of "exec to first
 * connection": whatever a master does beyond this before it listens, it does on top of it.
 *
 * usage: floor_listen PORT    (on 127.0.0.1; listens until a signal ends it)
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: floor_listen PORT\n", stderr);
        return 2;
    }
    const int on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(argv[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0) {
        perror("floor_listen");
        return 1;
    }
    pause();
    return 0;
}
