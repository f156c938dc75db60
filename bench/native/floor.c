// The floor of a device: how many durable appends one writer could make if nothing but the disk cost anything.
//
//     floor <file> <payload bytes> <milliseconds>
//
// Makes a file of zeros, unless it is there, then writes one payload behind the other into it, through a descriptor with O_DSYNC: each write
// is on stable storage when it returns, and no size and no block changes, so no journal has to be written with it.
// Prints the writes and the nanoseconds that they took.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_BYTES = 16 * 1024 * 1024, PIECE_BYTES = 1024 * 1024 };

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void fill_with_zeros(const char *path) {
  static char zeros[PIECE_BYTES];
  struct stat found;
  if (stat(path, &found) == 0 && found.st_size == FILE_BYTES) return; // by an earlier run
  int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  if (file < 0) fail(path);
  for (int at = 0; at < FILE_BYTES; at += PIECE_BYTES)
    if (pwrite(file, zeros, PIECE_BYTES, at) != PIECE_BYTES) fail("pwrite");
  if (fsync(file) != 0) fail("fsync");
  close(file);
}

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "floor <file> <payload bytes> <milliseconds>\n");
    return 2;
  }
  const char *path = arguments[1];
  size_t bytes = strtoul(arguments[2], NULL, 10);
  long long duration_ns = strtoll(arguments[3], NULL, 10) * 1000000LL;
  if (bytes == 0 || bytes > FILE_BYTES) {
    fprintf(stderr, "payload bytes: 1 to %d\n", FILE_BYTES);
    return 2;
  }

  fill_with_zeros(path);
  int file = open(path, O_WRONLY | O_DSYNC);
  if (file < 0) fail(path);
  char *payload = malloc(bytes);
  memset(payload, 'x', bytes);

  long long writes = 0, start_ns = now_ns(), end_ns = start_ns;
  for (off_t at = 0; end_ns - start_ns < duration_ns; at += bytes) {
    if (at + bytes > FILE_BYTES) at = 0;
    if (pwrite(file, payload, bytes, at) != (ssize_t)bytes) fail("pwrite");
    writes++;
    end_ns = now_ns();
  }
  printf("%lld %lld\n", writes, end_ns - start_ns);
  close(file);
  return 0;
}
