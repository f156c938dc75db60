import { convert as convertLog } from 'forelog'
import { type Command, entriesOption, integer } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { entriesFrom } from '../load-module.js'
import { directoryOfLog } from '../log-directory.js'
import { ProgressBar } from '../progress.js'
import { offsetsText } from '../report-text.js'
import { durationText, plural } from '../text.js'

export const convert: Command = {
  name: 'convert',
  args: ['FROM', 'TO'],
  summary: 'Write a log in the other format: 1, the Go library’s files, or 2. The log in FROM is not changed.',
  description:
    'TO is empty, or is not there yet. Offsets and payloads stay what they are. Both ways need --entries, with readPayload: format 1 has no lengths. To format 1, a batch becomes as many entries as it ' +
    'has, and offsets stop at 4294967295. A log that is damaged or torn is refused.',
  options: {
    'max-segment-size': { type: 'string', value: 'BYTES', help: 'Segments of the new log. Default 67108864.' },
    ...entriesOption,
  },
  examples: [['forelog convert ./go-log ./data/orders --entries ./entries.js', 'take over a log of the Go library']],
  async run({ terminal, positionals, values, json, signal }) {
    const [from, to] = positionals as readonly [string, string]
    const bar = new ProgressBar(terminal, 'Converting')
    const maxSegmentSize = integer(values, 'max-segment-size', 1)
    const result = await convertLog(directoryOfLog(from), to, { ...(await entriesFrom(values)), ...(maxSegmentSize === undefined ? {} : { maxSegmentSize }), onProgress: bar.update, signal }).finally(() => bar.stop())
    const { colors } = terminal
    await terminal.line(
      json ? JSON.stringify(result) : `${colors.green('✓')} ${plural(result.entries, 'entry', 'entries')}, ${offsetsText(result)}, in format ${result.format}: ${colors.bold(result.directory)} ${colors.dim(`(${durationText(bar.elapsedMs)})`)}`,
    )
    return exitCodes.fine
  },
}
