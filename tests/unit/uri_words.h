/*
 * uri_words: repeated bytes for the tables of test_uri, where limits are reached.
 */
#ifndef SOCKETMASTER_URI_WORDS_H
#define SOCKETMASTER_URI_WORDS_H

#define X4 "xxxx"
#define X16 X4 X4 X4 X4
#define X64 X16 X16 X16 X16
#define X255 X64 X64 X64 X16 X16 X16 X4 X4 X4 "xxx"
#define X107 X64 X16 X16 X4 X4 "xxx"
#define ZEROS "0000000000"
/* A host name of 255 bytes, in labels of 63. */
#define LABEL63 X16 X16 X16 X4 X4 X4 "xxx"
#define HOST255 LABEL63 "." LABEL63 "." LABEL63 "." LABEL63

#endif
