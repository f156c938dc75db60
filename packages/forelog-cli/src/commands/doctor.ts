import { nodeFileSystem, verify, type VerifyReport, WalError } from 'forelog'
import { accessSync, constants, existsSync, readdirSync, readFileSync, realpathSync, rmSync, statfsSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Command } from '../command.js'
import { exitCodes } from '../exit-codes.js'
import { endText, writerText } from '../report-text.js'
import { measureFloor, quantile } from '../sync-floor.js'
import { bytesText, durationText, plural } from '../text.js'

/** `'unread'`: not looked at. */
type Verdict = 'good' | 'warning' | 'bad' | 'unread'

interface Check {
  readonly name: string
  readonly verdict: Verdict
  readonly text: string
}

/** No device makes a write durable sooner: what claims to does not. */
const impossibleUs = 8
const networkTypes = ['nfs', 'nfs4', 'cifs', 'smb3', '9p', 'ceph', 'fuse.sshfs', 'fuse.glusterfs', 'fuse.s3fs', 'afs']
const memoryTypes = ['tmpfs', 'ramfs']

export const doctor: Command = {
  name: 'doctor',
  args: ['DIR'],
  summary: 'Look at the place of a log: file system, syncs, free space, permissions, locks, and the log’s own state.',
  description: 'Measures syncs with a file of its own in DIR, which is removed. Touches nothing of the log, and takes no lock but that of its file. Exit code 0: nothing is wrong. 1: something is.',
  options: {},
  examples: [['forelog doctor ./data/orders', 'before a deployment, or when something is strange']],
  async run({ terminal, positionals, json }) {
    const directory = resolve(positionals[0] as string)
    const checks: Check[] = [runtimeCheck()]
    checks.push(permissionCheck(directory))
    const place = existingAbove(directory)
    checks.push(fileSystemCheck(place), spaceCheck(place))
    const isWritable = checks.every(({ name, verdict }) => name !== 'permissions' || verdict === 'good')
    if (isWritable) checks.push(syncCheck(place), await lockCheck(place))
    if (existsSync(directory)) checks.push(...(await logChecks(directory)))
    const isBad = checks.some(({ verdict }) => verdict === 'bad')
    if (json) await terminal.line(JSON.stringify({ directory, healthy: !isBad, checks }))
    else {
      const { bold, dim, green, yellow, red } = terminal.colors
      const signs: Record<Verdict, string> = { good: green('✓'), warning: yellow('!'), bad: red('✗'), unread: dim('–') }
      await terminal.prose(bold(directory))
      for (const { name, verdict, text } of checks) await terminal.prose(`  ${signs[verdict]} ${dim(name.padEnd(13))} ${text}`)
    }
    return isBad ? exitCodes.damaged : exitCodes.fine
  },
}

function runtimeCheck(): Check {
  return { name: 'runtime', verdict: 'good', text: `Node.js ${process.versions.node}, ${process.platform}-${process.arch}` }
}

function existingAbove(directory: string): string {
  let place = directory
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place)
  return realpathSync(place)
}

function permissionCheck(directory: string): Check {
  const name = 'permissions'
  const place = existingAbove(directory)
  if (!statSync(place).isDirectory()) return { name, verdict: 'bad', text: `${place} is no directory` }
  try {
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch {
    return { name, verdict: 'bad', text: `this user can't ${place === directory ? 'write' : 'make a directory'} in ${place}` }
  }
  return { name, verdict: 'good', text: place === directory ? 'this user can write there' : `the directory is not there yet; it can be made in ${place}` }
}

/** The type of the file system that a path is on, as Linux calls it. */
function mountOf(path: string): { readonly type: string; readonly point: string } | undefined {
  let mounts: string
  try {
    mounts = readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return undefined
  }
  const found = mounts
    .split('\n')
    .map((line) => /^\S+ \S+ \S+ \S+ (\S+) .* - (\S+) /.exec(line))
    .flatMap((match) => (match === null ? [] : [{ point: (match[1] as string).replace(/\\040/g, ' '), type: match[2] as string }]))
    .filter(({ point }) => path === point || path.startsWith(point === '/' ? '/' : `${point}/`))
  return found.reduce<(typeof found)[number] | undefined>((longest, each) => (longest === undefined || each.point.length >= longest.point.length ? each : longest), undefined)
}

function fileSystemCheck(place: string): Check {
  const name = 'file system'
  const mount = mountOf(place)
  if (mount === undefined) return { name, verdict: 'good', text: 'not known on this system' }
  const { type, point } = mount
  if (networkTypes.includes(type)) return { name, verdict: 'warning', text: `${type}, mounted at ${point}: a network file system may lose what it says is synced, and may not keep the lock` }
  if (memoryTypes.includes(type)) return { name, verdict: 'warning', text: `${type}, mounted at ${point}: it is gone with the machine` }
  return { name, verdict: 'good', text: `${type}, mounted at ${point}` }
}

function spaceCheck(place: string): Check {
  const name = 'free space'
  const { bavail, blocks, bsize, ffree, files } = statfsSync(place)
  const free = bavail * bsize
  const part = blocks === 0 ? 1 : bavail / blocks
  const text = `${bytesText(free)} of ${bytesText(blocks * bsize)} (${(part * 100).toFixed(0)} %)`
  if (files > 0 && ffree === 0) return { name, verdict: 'bad', text: `${text}, but no inode is left: no file can be made` }
  // Less than two segments: the next roll may fail.
  if (free < 16 * 1024 * 1024) return { name, verdict: 'bad', text: `${text}: appends are about to be refused` }
  return { name, verdict: free < 256 * 1024 * 1024 || part < 0.03 ? 'warning' : 'good', text }
}

function syncCheck(place: string): Check {
  const name = 'sync'
  const scratch = join(place, `.forelog-doctor-${process.pid}`)
  try {
    const { samplesUs, writeThrough } = measureFloor(scratch, 512, 500, 400)
    const median = quantile(samplesUs, 0.5)
    const how = writeThrough ? 'O_DSYNC' : 'fdatasync'
    const text = `${durationText(median / 1000)} in the middle, ${durationText(quantile(samplesUs, 0.99) / 1000)} at the 99th percentile (${plural(samplesUs.length, 'write')} with ${how})`
    if (median < impossibleUs) return { name, verdict: 'warning', text: `${text}: suspiciously fast, it looks as if syncs were not honoured, and a power cut would take acknowledged entries along` }
    if (median > 20_000) return { name, verdict: 'warning', text: `${text}: slow; batches, or many appends at once, share a sync` }
    return { name, verdict: 'good', text }
  } catch (error) {
    return { name, verdict: 'bad', text: `a write could not be synced: ${(error as Error).message}` }
  }
}

async function lockCheck(place: string): Promise<Check> {
  const name = 'locks'
  const scratch = join(place, `.forelog-doctor-lock-${process.pid}`)
  try {
    const lock = await nodeFileSystem.lock(scratch, 0o600)
    const refused = await nodeFileSystem.lock(scratch, 0o600).then(
      async (second) => {
        await second.release()
        return false
      },
      (error: unknown) => error instanceof WalError && error.code === 'ERR_WAL_LOCKED',
    )
    await lock.release()
    return refused ? { name, verdict: 'good', text: 'the kernel gives a lock to one holder alone' } : { name, verdict: 'bad', text: 'two holders got the same lock: two writers would destroy a log here' }
  } catch (error) {
    return { name, verdict: 'bad', text: (error as Error).message }
  } finally {
    rmSync(scratch, { force: true })
  }
}

/** Files that the user who runs this can't read and write: most often those that somebody else's process made. */
function ownerCheck(directory: string): Check {
  const name = 'files'
  const files = readdirSync(directory).filter((file) => file.endsWith('.wal') || file === 'lock' || file === 'lock.json' || file === 'quarantine')
  const refused = files.filter((file) => {
    try {
      accessSync(join(directory, file), constants.R_OK | constants.W_OK)
      return false
    } catch {
      return true
    }
  })
  const [first] = refused
  if (first === undefined) return { name, verdict: 'good', text: `this user can read and write ${plural(files.length, 'file')} of the log` }
  const { uid, gid, mode } = statSync(join(directory, first))
  const others = refused.length === 1 ? '' : `, and ${plural(refused.length - 1, 'other')}`
  return { name, verdict: 'bad', text: `this user${process.getuid === undefined ? '' : ` (uid ${process.getuid()})`} can't read and write ${first} (uid ${uid}, gid ${gid}, mode ${(mode & 0o7777).toString(8).padStart(4, '0')})${others}` }
}

async function logChecks(directory: string): Promise<Check[]> {
  let report: VerifyReport
  let files: Check
  try {
    report = await verify(directory, { scope: 'structure' })
    files = ownerCheck(directory)
  } catch (error) {
    return [{ name: 'log', verdict: 'bad', text: (error as Error).message }]
  }
  if (report.outcome === 'none') return [{ name: 'log', verdict: 'good', text: 'none there yet' }]
  const plain = { dim: String, red: String, yellow: String, green: String } as never
  const [fault] = report.faults
  const state: Check =
    fault === undefined
      ? { name: 'log', verdict: report.outcome === 'undecided' || report.end?.full === true ? 'warning' : 'good', text: `format ${String(report.format)}, ${endText(report, plain)}` }
      : { name: 'log', verdict: 'bad', text: `${basename(fault.path)} at byte ${fault.position}: ${fault.why}; forelog verify tells more` }
  const entries: Check = { name: 'entries', verdict: 'unread', text: 'not read: names, headers and the end alone were looked at. forelog verify reads every byte' }
  return [files, state, entries, { name: 'writer', verdict: 'good', text: writerText(report) }]
}
