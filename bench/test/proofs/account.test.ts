import { expect, test } from 'vitest'
import { Account, type Line, newCutRow } from '../../proofs/cuts.ts'

const cutUs = 100

/** What a writer tells that opens a store of `found` entries and appends up to `acked`, each at its own microsecond. */
function life(found: number, acked: number, { lost = 0, isWrong = 0 } = {}): Line[] {
  const lines: Line[] = [['opening', 1], ['opened', 2, found, lost, isWrong]]
  for (let number = found + 1; number <= acked; number++) lines.push(['called', 10 + number, number], ['acked', 10 + number, number])
  return lines
}

function account(): Account {
  return new Account(newCutRow('a store', 'ext4'))
}

test('what was told before a cut and is there afterwards is not lost', () => {
  const store = account()
  store.take(life(0, 5), cutUs)
  expect(store).toMatchObject({ told: 5, called: 5 })
  store.take(life(5, 7), cutUs)
  expect(store.row).toMatchObject({ told: 7, lost: 0, cutsThatLost: 0, inFlightKept: 0, inFlightGone: 0 })
})

test('what was told before a cut and is gone afterwards is lost, and counted once', () => {
  const store = account()
  store.take(life(0, 5), cutUs)
  store.take(life(3, 3, { lost: 2 }), cutUs)
  store.take(life(3, 3), cutUs)
  expect(store.row).toMatchObject({ told: 5, lost: 2, cutsThatLost: 1 })
})

test('what was told while a cut ran is counted apart, whether it is there or gone', () => {
  const store = account()
  const late: Line[] = [['called', 50, 6], ['acked', cutUs, 6], ['called', 101, 7], ['acked', 102, 7]]
  store.take([...life(0, 5), ...late], cutUs)
  expect(store).toMatchObject({ told: 5, called: 7 })
  store.take(life(6, 6), cutUs)
  expect(store.row).toMatchObject({ told: 5, lost: 0, late: 2, lateGone: 1 })
})

test('an append in flight may be there or not', () => {
  const store = account()
  store.take([...life(0, 5), ['called', 50, 6]], cutUs)
  store.take([...life(6, 6), ['called', 50, 7]], cutUs)
  store.take(life(6, 6), cutUs)
  expect(store.row).toMatchObject({ lost: 0, inFlightKept: 1, inFlightGone: 1 })
})

test('what is read while a cut runs says nothing', () => {
  const store = account()
  store.take(life(0, 5), cutUs)
  store.take([['opening', 99], ['opened', 101, 2, 3, 0], ['refused', 102, 'EIO']], cutUs)
  expect(store.row).toMatchObject({ lost: 0, refused: 0 })
  expect(store).toMatchObject({ told: 5, isOver: false })
})

test('a store that can not be opened after a cut, or has wrong entries, is counted, and another one takes its place', () => {
  const store = account()
  store.take(life(0, 5), cutUs)
  store.take([['opening', 1], ['refused', 2, 'no store']], cutUs)
  expect(store.row).toMatchObject({ refused: 1, examples: ['no store, with 5 entries told'] })
  expect(store).toMatchObject({ isOver: true, told: 0, called: 0 })
  store.take(life(0, 5), cutUs)
  store.take(life(5, 5, { isWrong: 1 }), cutUs)
  expect(store.row).toMatchObject({ refused: 1, wrong: 1 })
})

test('a store that fails before its power is cut breaks the test', () => {
  const store = account()
  expect(() => store.take([...life(0, 5), ['failed', 50, 'ENOSPC']], cutUs)).toThrow(/before the power was cut: ENOSPC/)
})
