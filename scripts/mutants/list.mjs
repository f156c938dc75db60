// Deliberate bugs, each a replacement in one file of packages/forelog/src that must match exactly once. Where it is known which test
// file notices, `tests` names it, and it runs first; the others follow.

/**
 * @typedef {object} Mutant
 * @property {string} name what the bug does
 * @property {string} file below packages/forelog/src
 * @property {string} from
 * @property {string} to
 * @property {string[]} tests names of test files, below packages/forelog/test
 */

const proofs = 'proofs/simulated-crashes.test.ts'
const rows = 'recovery/rows.test.ts'
const writer = 'segments/segment-writer.test.ts'
const failing = 'write-ahead-log-failing.test.ts'

/** @type {readonly Mutant[]} */
export const mutants = [
  {
    name: 'no directory sync after a segment was created',
    file: 'files/durable-file.ts',
    from: 'yield* syncDirectory(this.#fileSystem, this.#directory)',
    to: '',
    tests: ['files/durable-file.test.ts', proofs],
  },
  {
    name: 'a new segment is put in place before its bytes are synced',
    file: 'files/durable-file.ts',
    from: 'yield* this.#temporary.dataSync()',
    to: '',
    tests: ['files/durable-file.test.ts', proofs],
  },
  {
    name: 'no directory sync at opening',
    file: 'recovery/recovered-log.ts',
    from: '    yield* syncDirectory(fileSystem, directory)\n    for (const dead',
    to: '    for (const dead',
    tests: ['recovery/rules.test.ts', proofs],
  },
  {
    name: 'no sync of the directories above a new log',
    file: 'recovery/open-log.ts',
    from: 'yield* syncDirectoryAndAbove(fileSystem, directory)',
    to: '',
    tests: ['recovery/rules.test.ts', proofs],
  },
  {
    name: 'every hundredth sync is skipped',
    file: 'segments/segment-writer.ts',
    from: '    yield* file.dataSync()\n',
    to: '    if ((globalThis.mutantSyncs = (globalThis.mutantSyncs ?? 0) + 1) % 100 !== 0) yield* file.dataSync()\n',
    tests: [proofs],
  },
  {
    name: 'every hundredth write through does not go through',
    file: 'segments/active-file.ts',
    from: '    return (this.#through as DurableFile).write(pieces, position)',
    to: '    return ((globalThis.mutantWrites = (globalThis.mutantWrites ?? 0) + 1) % 100 !== 0 ? this.#through : this.file).write(pieces, position)',
    tests: [proofs],
  },
  {
    name: 'an append is acknowledged before its sync',
    file: 'commit/commit-queue.ts',
    from: 'yield* this.#target.write(group, durably)',
    to: 'yield* this.#target.write(group, false)\n      ticket.waiters.resolveAll()\n      if (durably) yield* this.#target.sync()',
    tests: ['commit/commit-queue.test.ts', proofs],
  },
  {
    name: 'a group is written and never synced',
    file: 'segments/segment-writer.ts',
    from: 'if (this.hasUnsynced) yield* this.sync()\n    else this',
    to: 'this',
    tests: [writer, proofs],
  },
  {
    name: 'an offset counts as durable before the sync is back',
    file: 'segments/segment-writer.ts',
    from: '    yield* file.dataSync()\n',
    to: '    this.#durableOffset = Math.max(this.#durableOffset, lastOffset)\n    yield* file.dataSync()\n',
    tests: ['segments/roll-during-sync.test.ts', writer, failing],
  },
  {
    name: 'what was written while a sync ran counts as synced',
    file: 'segments/segment-writer.ts',
    from: '    this.#durableOffset = Math.max(this.#durableOffset, lastOffset)\n',
    to: '    this.#durableOffset = this.#nextOffset - 1\n',
    tests: ['segments/roll-during-sync.test.ts', writer, proofs],
  },
  {
    name: 'format 1: offsets restart at 1 behind an empty newest segment',
    file: 'recovery/recover-format1.ts',
    from: 'if (earlier !== undefined) expected = yield* endOf(request, earlier, framingOf)',
    to: 'if (earlier !== undefined) expected = walked.entries === 0 ? 1 : yield* endOf(request, earlier, framingOf)',
    tests: ['mistakes-of-others.test.ts', rows],
  },
  {
    name: 'names in the order of text',
    file: 'segments/segment-name.ts',
    from: 'segments.sort((a, b) => a.id - b.id)',
    to: 'segments.sort((a, b) => (a.name < b.name ? -1 : 1))',
    tests: ['segments/segment-name.test.ts', 'mistakes-of-others.test.ts'],
  },
  {
    name: 'a torn group is taken for whole',
    file: 'format/group.ts',
    from: "if (verified?.headersCrc === headersCrc) return { found: 'group', group: verified.ascii ? { ...group, ascii: true } : group }",
    to: "if (bytes.length >= 0) return { found: 'group', group }",
    tests: ['format/group.test.ts', rows],
  },
  {
    name: 'the headers CRC is not checked',
    file: 'format/group.ts',
    from: 'if (verified?.headersCrc === headersCrc) return',
    to: 'if (verified !== undefined) return',
    tests: ['format/group.test.ts', rows],
  },
  {
    name: 'a control record that does not continue the chain is accepted',
    file: 'format/group.ts',
    from: "if (frame.previous !== expected.previous) return { found: 'nothing', why: 'a control record does not continue the chain' }",
    to: '',
    tests: ['format/group.test.ts', rows],
  },
  {
    name: 'a control record with the salt of another file is accepted',
    file: 'format/group.ts',
    from: "if (frame.salt !== expected.salt) return { found: 'nothing', why: 'a control record of another file stands here' }",
    to: '',
    tests: ['format/group.test.ts', rows],
  },
  {
    name: 'the CRC of a control record is not checked',
    file: 'format/control-record.ts',
    from: 'if (crc32(bytes, payload, at + whole) !== crc) return',
    to: 'if (crc32(bytes, payload, at + whole) === -1) return',
    tests: ['format/control-record.test.ts', rows],
  },
  {
    name: 'a segment that does not continue the one before it is read',
    file: 'segments/segment-cursor.ts',
    from: 'if (before !== undefined && before.fault === undefined && frame.previous !== before.previous) {',
    to: 'if (before === null) {',
    tests: ['segments/segment-reader.test.ts', rows],
  },
  {
    name: 'the tail is not written again after an unclean end',
    file: 'recovery/recover-format2.ts',
    from: 'rewrite: end.close === undefined ? (file) => rewriteGroups(file, end, header, frame) : undefined,',
    to: 'rewrite: undefined,',
    tests: ['recovery/rules.test.ts', proofs],
  },
  {
    name: 'the tail that was written again is not synced',
    file: 'recovery/recovered-log.ts',
    from: '      yield* rewrite(file)\n      yield* file.sync()',
    to: '      yield* rewrite(file)',
    tests: ['recovery/rules.test.ts', proofs],
  },
  {
    name: 'a sync that failed is tried again, and the answer believed',
    file: 'files/durable-file.ts',
    from: '        () => this.#file.dataSync(),\n      )\n    } catch (error) {\n',
    to:
      '        () => this.#file.dataSync(),\n      )\n    } catch (error) {\n' +
      '      try {\n        return yield* step(\n          () => this.#file.dataSyncSync(),\n          () => this.#file.dataSync(),\n        )\n      } catch {}\n',
    tests: ['files/durable-file.test.ts', failing, proofs],
  },
  {
    name: 'the log goes on after a failed sync',
    file: 'commit/commit-queue.ts',
    from: 'if (!(error instanceof WalError) || !isNoSpace(error)) {',
    to: 'if (!(error instanceof WalError)) {',
    tests: ['commit/commit-queue.test.ts', failing, proofs],
  },
  {
    name: 'a batch is split over several groups',
    file: 'segments/segment-writer.ts',
    from: "    if (group.firstOffset !== this.#nextOffset) throw",
    to:
      '    if (this.#chain !== undefined && group.count > 1) {\n' +
      '      const { body, lengths } = group\n' +
      '      for (let index = 0, at = 0; index < lengths.length; index++) {\n' +
      '        const one = new GroupBuilder(group.firstOffset + index, groupBytes, 0, undefined)\n' +
      '        one.add(body[at + 4], body.slice(at + 9, at + 9 + lengths[index]))\n' +
      '        at += 9 + lengths[index]\n' +
      '        yield* this.write(one, durably)\n' +
      '      }\n' +
      '      return\n' +
      '    }\n' +
      "    if (group.firstOffset !== this.#nextOffset) throw",
    tests: [writer, 'write-ahead-log.test.ts', proofs],
  },
  {
    name: 'damage to acknowledged data is cut off: no search for a voucher',
    file: 'recovery/examine-newest.ts',
    from: 'const voucher = yield* findVoucher(window, searchFrom, end.expected)',
    to: 'const voucher = searchFrom < 0 ? yield* findVoucher(window, searchFrom, end.expected) : undefined',
    tests: [rows],
  },
  {
    name: 'rot in the last group is cut off: one flipped bit is not told from a torn write',
    file: 'recovery/decide.ts',
    from: 'if (flippedBit?.sectorWasWritten === true && !failing.hasZeroSector) {',
    to: 'if (flippedBit === null) {',
    tests: ['recovery/decide.test.ts', rows],
  },
  {
    name: 'zeros behind the end are taken for a torn group',
    file: 'recovery/examine-newest.ts',
    from: '  if (last < end.position) return { end, failing',
    to: '  if (window.left(end.position) === 0) return { end, failing',
    tests: [rows],
  },
  {
    name: 'a cut uses the id of a dead segment again',
    file: 'segments/segment-writer.ts',
    from: 'const id = segments.newest.id + 1',
    to: 'const id = previous.id + 1',
    tests: ['segments/truncation.test.ts', proofs],
  },
  {
    name: 'a write through that begins behind an unsynced durable mark',
    file: 'segments/segment-writer.ts',
    from: '    this.#carried = mark\n',
    to: '    this.#syncedTo = this.#position\n',
    tests: ['segments/write-through.test.ts', writer, proofs],
  },
  {
    name: 'a write through while something in front of it is unsynced',
    file: 'segments/segment-writer.ts',
    from: 'return this.#syncedTo >= this.#writtenFrom && this.#file.isFilled(to)',
    to: 'return this.#file.isFilled(to)',
    tests: ['segments/write-through.test.ts', writer, proofs],
  },
  {
    name: 'a write through beyond what is filled',
    file: 'segments/active-file.ts',
    from: 'return this.#through !== undefined && to <= this.#filled',
    to: 'return this.#through !== undefined && to > 0',
    tests: ['segments/write-through.test.ts', writer, proofs],
  },
  {
    name: 'zeros are filled over groups that were written',
    file: 'segments/active-file.ts',
    from: '    const from = Math.max(position, this.#fillEnd)\n    const to = Math.min',
    to: '    const from = this.#fillEnd\n    const to = Math.min',
    tests: ['segments/active-file.test.ts', proofs],
  },
  {
    name: 'a close record without the sync in front of it',
    file: 'segments/segment-writer.ts',
    from: '    yield* this.sync()\n    const lastOffset',
    to: '    const lastOffset',
    tests: [writer, proofs],
  },
  {
    name: 'segments are unlinked before the low-water mark is synced',
    file: 'segments/segment-writer.ts',
    from: '    yield* this.#put([mark], true)\n    this.#chain.advance(mark)\n    yield* this.sync()\n',
    to: '    yield* this.#put([mark], false)\n    this.#chain.advance(mark)\n',
    tests: ['segments/truncation.test.ts', proofs],
  },
  {
    name: 'dead segments are unlinked before what makes them dead is durable',
    file: 'recovery/recovered-log.ts',
    from: '    // Rule 6: the copy first',
    to: '    for (const dead of mending.remove) yield* removeFile(fileSystem, join(directory, dead))\n    // Rule 6: the copy first',
    tests: ['recovery/rules.test.ts', proofs],
  },
  {
    name: 'format 1: segments are removed behind without a directory sync',
    file: 'segments/truncation.ts',
    from: '    for (const { path } of [...removed].reverse()) {\n      yield* removeFile(segments.fileSystem, path)\n      yield* syncDirectory(segments.fileSystem, segments.directory)\n',
    to: '    for (const { path } of [...removed].reverse()) {\n      yield* removeFile(segments.fileSystem, path)\n',
    tests: ['segments/truncation.test.ts', proofs],
  },
  {
    name: 'the tail is not cut off before the first write',
    file: 'recovery/recovered-log.ts',
    from: 'if (mending.fileBytes > end) {',
    to: 'if (mending.fileBytes < end) {',
    tests: [rows, proofs],
  },
  {
    name: 'the name of the quarantine is not synced before the cut',
    file: 'recovery/quarantine.ts',
    from: 'yield* syncDirectory(fileSystem, directory)',
    to: '',
    tests: ['recovery/rules.test.ts', rows],
  },
  {
    name: 'the undo after a full disk is not synced',
    file: 'segments/segment-writer.ts',
    from: '      yield* this.#discardPrepared()\n      yield* this.#file.cut(this.#position)',
    to: '      yield* this.#discardPrepared()\n      yield* this.#file.file.truncate(this.#position)',
    tests: [failing, writer, proofs],
  },
  {
    name: 'a write through that found no space is undone, as if it were no sync',
    file: 'files/durable-file.ts',
    from: "this.#writeThrough && isNoSpace(error) ? 'ERR_WAL_SYNC_FAILED'",
    to: "this.#writeThrough && error === null ? 'ERR_WAL_SYNC_FAILED'",
    tests: ['files/durable-file.test.ts'],
  },
  {
    name: 'the lock is not taken',
    file: 'files/directory-lock.ts',
    from: 'taken = tryLock(fd)',
    to: 'taken = true',
    tests: ['files/directory-lock.test.ts'],
  },
  {
    name: "the caller's buffer is copied after append has returned",
    file: 'format/group-builder.ts',
    from: 'if (length > loopedCopyBytes) this.#buffer.set(payload, at)',
    to: 'if (length >= 0) queueMicrotask(() => this.#buffer.set(payload, at))',
    tests: ['mistakes-of-others.test.ts', 'write-ahead-log.test.ts'],
  },
  {
    name: 'a reader shows entries that nothing proves durable',
    file: 'recovery/observe.ts',
    from: '        recent.push(place)\n',
    to: '        proven = place\n        recent.push(place)\n',
    tests: ['log-reader.test.ts'],
  },
]
