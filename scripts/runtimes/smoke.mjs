// What every runtime has to do with the installed package, told on stdout as one line. Run by scripts/test-runtimes.mjs.
//
//   smoke.mjs write <directory> <name>     goes on in a log that other runtimes may have written, and checks all of it
//   smoke.mjs refused <directory> <name>   tries to open a log that another process holds

import { defineEntries, errorCodes, json, utf8, WalError, WriteAheadLog } from 'forelog'
import assert from 'node:assert/strict'

const [, , task, directory, name] = process.argv
const entries = defineEntries({ put: { type: 1, codec: json() }, note: { type: 2, codec: utf8 } })
const perRuntime = 103

const tasks = {
  async write() {
    const log = await WriteAheadLog.open(directory, { entries, maxSegmentSize: 4096 })
    const before = log.lastOffset
    assert.equal(before % perRuntime, 0)
    assert.equal(log.recovery.clean, true)

    const offsets = await Promise.all(Array.from({ length: 100 }, (_, number) => log.append(entries.put({ name, number }))))
    assert.deepEqual(offsets, Array.from({ length: 100 }, (_, index) => before + 1 + index))
    assert.equal(log.durableOffset, before + 100)
    assert.deepEqual(await log.appendBatch([entries.note(`${name}: ü`), entries.note('')]), { first: before + 101, last: before + 102 })
    assert.equal(log.appendSync(entries.note('last')), before + perRuntime)
    await assert.rejects(WriteAheadLog.open(directory, { entries }), isLocked)
    await log.close()

    const again = await WriteAheadLog.open(directory, { entries })
    const found = []
    for await (const batch of again.entries().batches()) found.push(...batch)
    assert.deepEqual(
      found.map(({ offset }) => offset),
      Array.from({ length: before + perRuntime }, (_, index) => index + 1),
    )
    const ours = found.slice(before).map(({ entry }) => entry.value)
    assert.deepEqual(ours.slice(0, 100), Array.from({ length: 100 }, (_, number) => ({ name, number })))
    assert.deepEqual(ours.slice(100), [`${name}: ü`, '', 'last'])
    assert.deepEqual([...again.entriesSync()].length, found.length)
    assert.equal((await again.get(before + 101)).entry.value, `${name}: ü`)
    await again.close()
    return `${found.length} entries`
  },

  async refused() {
    await assert.rejects(WriteAheadLog.open(directory, { entries }), isLocked)
    return 'refused'
  },
}

function isLocked(error) {
  assert(error instanceof WalError && errorCodes.includes(error.code))
  assert.equal(error.code, 'ERR_WAL_LOCKED')
  return true
}

console.log(`ok ${await tasks[task]()}`)
