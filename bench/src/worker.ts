/**
 * Runs one task in a process of its own, so that no measurement has the heap, the compiled code or the files of another:
 *
 *     node --expose-gc dist/worker.js '<task as JSON>'
 *
 * Its result is the last line of standard output, as JSON.
 */
import { append, type AppendResult, type AppendTask } from './tasks/append.js'
import { fill, fillJson, type FillJsonTask, type FillTask } from './tasks/fill.js'
import { memory, type MemoryTask } from './tasks/memory.js'
import { open, type OpenResult, type OpenTask } from './tasks/open.js'
import { replay, replayJson, type ReplayJsonTask, type ReplayResult, type ReplayTask } from './tasks/replay.js'
import { roll, type RollResult, type RollTask } from './tasks/roll.js'

export type Task = AppendTask | FillTask | FillJsonTask | MemoryTask | OpenTask | ReplayTask | ReplayJsonTask | RollTask

export interface ResultOf {
  append: AppendResult
  fill: { entries: number }
  'fill-json': { entries: number }
  memory: { peakBytes: number }
  open: OpenResult
  replay: ReplayResult
  'replay-json': ReplayResult
  roll: RollResult
}

function run(task: Task): Promise<ResultOf[Task['task']]> {
  switch (task.task) {
    case 'append':
      return append(task)
    case 'fill':
      return fill(task)
    case 'fill-json':
      return fillJson(task)
    case 'memory':
      return memory(task)
    case 'open':
      return open(task)
    case 'replay':
      return replay(task)
    case 'replay-json':
      return replayJson(task)
    case 'roll':
      return roll(task)
  }
}

const [json] = process.argv.slice(2)
if (json === undefined) throw new Error('worker.js takes a task as JSON')
console.log(JSON.stringify(await run(JSON.parse(json) as Task)))
