// Plays a slower disk: loaded with LD_PRELOAD, it lets every sync take longer, and nothing else.
//
// What counts as a sync: fsync, fdatasync, and a write through a descriptor that has O_DSYNC. The delay comes on top of
// what the disk takes.
//
//     SLOW_SYNC_US        microseconds that each sync takes longer
//     SLOW_SYNC_EVERY     then each so-manieth sync …
//     SLOW_SYNC_RARE_US   … takes so many microseconds longer instead

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static long usual_us, rare_us, every;
static atomic_long syncs;

__attribute__((constructor)) static void read_settings(void) {
  const char *value;
  if ((value = getenv("SLOW_SYNC_US"))) usual_us = atol(value);
  if ((value = getenv("SLOW_SYNC_RARE_US"))) rare_us = atol(value);
  if ((value = getenv("SLOW_SYNC_EVERY"))) every = atol(value);
}

static void delay(void) {
  long number = atomic_fetch_add(&syncs, 1) + 1;
  long us = every > 0 && number % every == 0 ? rare_us : usual_us;
  if (us <= 0) return;
  struct timespec t = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&t, NULL);
}

static int writes_through(int file) {
  int flags = fcntl(file, F_GETFL);
  return flags >= 0 && (flags & O_DSYNC) != 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) {
  delay();
  return REAL(fsync)(file);
}

int fdatasync(int file) {
  delay();
  return REAL(fdatasync)(file);
}

ssize_t write(int file, const void *bytes, size_t count) {
  if (writes_through(file)) delay();
  return REAL(write)(file, bytes, count);
}

ssize_t writev(int file, const struct iovec *pieces, int count) {
  if (writes_through(file)) delay();
  return REAL(writev)(file, pieces, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  if (writes_through(file)) delay();
  return REAL(pwrite)(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  if (writes_through(file)) delay();
  return REAL(pwrite64)(file, bytes, count, at);
}

ssize_t pwritev(int file, const struct iovec *pieces, int count, off_t at) {
  if (writes_through(file)) delay();
  return REAL(pwritev)(file, pieces, count, at);
}

ssize_t pwritev64(int file, const struct iovec *pieces, int count, off64_t at) {
  if (writes_through(file)) delay();
  return REAL(pwritev64)(file, pieces, count, at);
}
