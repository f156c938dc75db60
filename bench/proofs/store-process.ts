/**
 * A process in which a store is open: it may crash, hang or be killed, and whoever asked lives on.
 *
 * `fill` and `judge` answer by a message. `append` goes on until it is killed, and tells what happened by lines on standard output, which
 * are handed to the system before it goes on, so that no kill can take them back.
 */
import { writeSync } from 'node:fs'
import { nowUs } from '../../packages/forelog/test/proofs/real-writer/plan.ts'
import { type Contents, Judge, judge, type JudgeOptions, payloadOf, reasonOf } from './judge.ts'
import { type Subject, subjectNamed } from './subjects.ts'

export interface FillTask extends Contents {
  readonly task: 'fill'
  readonly subject: string
  readonly directory: string
  readonly count: number
  /** Whether it is closed; else the process kills itself. */
  readonly closes: boolean
}

export interface JudgeTask extends JudgeOptions {
  readonly task: 'judge'
  readonly subject: string
}

export interface AppendTask extends Contents {
  readonly task: 'append'
  readonly subject: string
  readonly directory: string
  readonly powerWasCut: boolean
  /** Entries 1 to `told` have to be there, those up to `called` may be. */
  readonly told: number
  readonly called: number
}

export type Task = FillTask | JudgeTask | AppendTask

if (process.send !== undefined) {
  process.on('message', (task: Task) => {
    run(task).catch((error: unknown) => {
      // Of this file, not of a store: whoever asked must not take it for a crash.
      process.send?.({ broken: String(error) })
    })
  })
  process.on('disconnect', () => process.exit())
}

async function run(task: Task): Promise<void> {
  const subject = subjectNamed(task.subject)
  switch (task.task) {
    case 'fill':
      process.send?.(await fill(subject, task))
      return
    case 'judge':
      process.send?.(await judge(subject, task))
      return
    case 'append':
      await append(subject, task)
  }
}

/** In two lives, so that there is something of an earlier one. */
async function fill(subject: Subject, task: FillTask): Promise<object> {
  const half = Math.floor(task.count / 2)
  const first = await subject.open(task.directory, { powerWasCut: false })
  for (let number = 1; number <= half; number++) await first.append(payloadOf(number, task))
  await first.close()
  const second = await subject.open(task.directory, { powerWasCut: false })
  for (let number = half + 1; number <= task.count; number++) await second.append(payloadOf(number, task))
  if (task.closes) await second.close()
  else process.kill(process.pid, 'SIGKILL')
  return {}
}

async function append(subject: Subject, task: AppendTask): Promise<void> {
  // It is killed, never ends.
  setInterval(() => {}, 1_000_000)
  tell('opening')
  const entries = new Judge(task.called, (number) => payloadOf(number, task))
  let foundOfTold = 0
  let store: Awaited<ReturnType<Subject['open']>>
  try {
    store = await subject.open(task.directory, { powerWasCut: task.powerWasCut })
    for await (const entry of store.read()) {
      entries.take(entry)
      if (entry[0] <= task.told) foundOfTold++
      if (entries.isTooMuch) break
    }
  } catch (error) {
    tell('refused', reasonOf(error))
    return
  }
  // What is missing in the middle is missed, too.
  const isWrong = entries.wrong !== undefined || entries.last !== entries.found
  tell('opened', entries.found, task.told - foundOfTold, isWrong ? 1 : 0)
  if (isWrong) return
  try {
    for (let number = entries.found + 1; ; number++) {
      const payload = payloadOf(number, task)
      tell('called', number)
      await store.append(payload)
      tell('acked', number)
    }
  } catch (error) {
    tell('failed', reasonOf(error))
  }
}

function tell(kind: string, ...rest: (string | number)[]): void {
  writeSync(1, `${JSON.stringify([kind, nowUs(), ...rest])}\n`)
}
