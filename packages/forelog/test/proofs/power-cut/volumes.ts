/**
 * File systems in image files on loop devices whose power can be cut.
 *
 * ext4 and XFS have a call for it (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN): from one moment to the next nothing reaches the
 * device any more, neither data nor journal, and every later call fails. What the device has got then is what the next mount
 * finds. Btrfs has no such call: there a copy of the image, taken in one moment (FICLONE on XFS holds the file's lock
 * all the while) and mounted afterwards, is the device as the cut found it.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, ftruncateSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { nowUs } from '../real-writer/plan.js'

export type FileSystemName = 'ext4' | 'xfs' | 'btrfs'

export interface Volume {
  /** Where it is mounted. */
  readonly directory: string
  /** Whether a cut is felt by who has files open here: every later call fails. */
  readonly isFelt: boolean
  /** @param choice from 0 to 1 (without): which of the options that this file system is tried with */
  mount(choice: number): void
  /** Cuts the power; when that began, by the clock of the writers: whatever was told before then must be there. */
  cut(): Promise<{ readonly beganUs: number }>
  /** Once nobody has a file open in it any more; after a cut, the next mount finds what that left. */
  unmount(): void
  /** Unmounts what is mounted, whatever happened. */
  dispose(): void
}

/** What a command printed; throws with what it complained of. */
export function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
  return stdout
}

const toolsOf: Record<FileSystemName, readonly string[]> = {
  ext4: ['mkfs.ext4', 'xfs_io'],
  xfs: ['mkfs.xfs', 'xfs_io'],
  btrfs: ['mkfs.btrfs', 'mkfs.xfs', 'btrfs'],
}

/** Why there can be no such volume here, or undefined. */
export function whyNot(name: FileSystemName): string | undefined {
  if (process.platform !== 'linux') return 'loop devices and these file systems are Linux'
  if (process.getuid?.() !== 0) return 'mounting needs root'
  const missing = ['mount', 'umount', 'losetup', ...toolsOf[name]].filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
  return missing.length === 0 ? undefined : `${missing.join(', ')} missing: install xfsprogs, btrfs-progs and e2fsprogs`
}

/** How each is mounted, by chance: ext4 with each of its promises about data, Btrfs with and without copying on write. */
const mountOptions: Record<FileSystemName, readonly string[]> = {
  ext4: ['data=ordered', 'data=ordered', 'data=writeback,nodelalloc', 'data=journal'],
  xfs: ['defaults'],
  btrfs: ['defaults', 'nodatacow'],
}

function optionsOf(name: FileSystemName, choice: number): string {
  const options = mountOptions[name]
  return `loop,${options[Math.floor(choice * options.length)] ?? 'defaults'}`
}

const imageBytes = 1024 ** 3

export function makeImage(path: string, name: FileSystemName, bytes = imageBytes): void {
  const file = openSync(path, 'w')
  ftruncateSync(file, bytes)
  closeSync(file)
  run(`mkfs.${name}`, '-q', path)
}

const mounted = new Set<Mount>()

function unmountAll(): void {
  // What was mounted last may lie in what was mounted first.
  for (const mount of [...mounted].reverse()) mount.dispose()
}

let unmountsAtExit = false

function unmountAtExit(): void {
  if (unmountsAtExit) return
  unmountsAtExit = true
  process.once('exit', unmountAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      unmountAll()
      process.exit(1)
    })
  }
}

/** A mount that is gone again at the end of this process, unless that is SIGKILL. */
export class Mount {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
    mkdirSync(directory, { recursive: true })
    unmountAtExit()
  }

  /** The loop device is the kernel's to free: it goes with the mount. */
  mount(...args: string[]): void {
    run('mount', ...args, this.directory)
    mounted.add(this)
  }

  unmount(): void {
    run('umount', this.directory)
    mounted.delete(this)
  }

  dispose(): void {
    if (!mounted.delete(this)) return
    // Lazily where somebody is still in it: nothing may stay behind for good.
    if (spawnSync('umount', [this.directory]).status !== 0) spawnSync('umount', ['-l', this.directory])
  }
}

class ShutdownVolume implements Volume {
  readonly isFelt = true
  readonly #name: FileSystemName
  readonly #image: string
  readonly #mount: Mount

  constructor(home: string, name: FileSystemName) {
    this.#name = name
    this.#image = join(home, `${name}.img`)
    this.#mount = new Mount(join(home, name))
    makeImage(this.#image, name)
  }

  get directory(): string {
    return this.#mount.directory
  }

  mount(choice: number): void {
    this.#mount.mount('-o', optionsOf(this.#name, choice), this.#image)
  }

  async cut(): Promise<{ beganUs: number }> {
    // It is up and has opened the directory when it answers, at once where its output is not held back.
    const cutter = spawn('stdbuf', ['-oL', 'xfs_io', '-x', this.directory], { stdio: ['pipe', 'pipe', 'inherit'] })
    cutter.stdin.write('print\n')
    await once(cutter.stdout, 'data')
    const beganUs = nowUs()
    cutter.stdin.end('shutdown\n')
    const [status] = (await once(cutter, 'exit')) as [number | null]
    if (status !== 0) throw new Error(`xfs_io shutdown ended with ${String(status)}`)
    return { beganUs }
  }

  unmount(): void {
    this.#mount.unmount()
  }

  dispose(): void {
    this.#mount.dispose()
  }
}

class SnapshotVolume implements Volume {
  readonly isFelt = false
  readonly #name: FileSystemName
  readonly #host: Mount
  readonly #mount: Mount
  #isCut = false

  constructor(home: string, name: FileSystemName) {
    this.#name = name
    const hostImage = join(home, `${name}-host.img`)
    makeImage(hostImage, 'xfs', 4 * imageBytes)
    this.#host = new Mount(join(home, `${name}-host`))
    this.#host.mount('-o', 'loop', hostImage)
    this.#mount = new Mount(join(home, name))
    makeImage(this.#image('now'), name)
  }

  #image(which: 'now' | 'cut'): string {
    return join(this.#host.directory, which)
  }

  get directory(): string {
    return this.#mount.directory
  }

  mount(choice: number): void {
    this.#mount.mount('-o', optionsOf(this.#name, choice), this.#image('now'))
  }

  async cut(): Promise<{ beganUs: number }> {
    const beganUs = nowUs()
    const copy = spawn('cp', ['--reflink=always', this.#image('now'), this.#image('cut')], { stdio: 'inherit' })
    const [status] = (await once(copy, 'exit')) as [number | null]
    if (status !== 0) throw new Error(`cp --reflink=always ended with ${String(status)}`)
    this.#isCut = true
    return { beganUs }
  }

  unmount(): void {
    this.#mount.unmount()
    if (!this.#isCut) return
    this.#isCut = false
    renameSync(this.#image('cut'), this.#image('now'))
    // The copy has the identity of the original, which the kernel must have forgotten before it meets it on another device.
    spawnSync('btrfs', ['device', 'scan', '--forget'])
  }

  dispose(): void {
    this.#mount.dispose()
    this.#host.dispose()
  }
}

/** A new file system in an image in the directory `home`. */
export function makeVolume(home: string, name: FileSystemName): Volume {
  return name === 'btrfs' ? new SnapshotVolume(home, name) : new ShutdownVolume(home, name)
}

