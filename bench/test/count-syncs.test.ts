import { expect, test } from 'vitest'
import { syncsBetweenMarks } from '../src/count-syncs.ts'

const trace = `
100 openat(AT_FDCWD</bench>, "/bench/1.wal", O_RDWR|O_CREAT|O_DSYNC|O_CLOEXEC, 0640) = 17</bench/1.wal>
100 openat(AT_FDCWD</bench>, "/bench/2.wal", O_RDWR|O_CLOEXEC) = 18</bench/2.wal>
100 openat(AT_FDCWD</bench>, "/bench/1.wal", O_RDWR|O_CLOEXEC) = 19</bench/1.wal>
100 fdatasync(17</bench/1.wal>) = 0
100 access("/forelog-bench-begins", F_OK) = -1 ENOENT (No such file or directory)
100 pwrite64(17</bench/1.wal>, "x"..., 128, 0) = 128
101 pwritev(17</bench/1.wal>, [{iov_base="x"..., iov_len=1}], 1, 128 <unfinished ...>
100 pwrite64(18</bench/2.wal>, "x"..., 128, 0) = 128
101 <... pwritev resumed>) = 1
102 fdatasync(18</bench/2.wal> <unfinished ...>
100 pwrite64(19</bench/1.wal>, "x"..., 128, 0) = 128
100 write(1<pipe:[5]>, "x", 1) = 1
102 <... fdatasync resumed>) = 0
103 msync(0x7f, 4096, MS_SYNC) = 0
103 msync(0x7f, 4096, MS_ASYNC) = 0
100 access("/forelog-bench-ends", F_OK) = -1 ENOENT (No such file or directory)
100 fsync(17</bench/1.wal>) = 0
`

test('syncs are counted between the marks: sync calls, and writes through a descriptor that has O_DSYNC', () => {
  expect(syncsBetweenMarks(trace)).toBe(4)
})

test('a trace without marks counts nothing', () => {
  expect(syncsBetweenMarks(trace.replaceAll('/forelog-bench', '/other'))).toBe(0)
})
