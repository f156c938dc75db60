import { basename, dirname } from 'node:path'
import type { FileLock, FileSystem, OpenFile, OpenFileOptions } from '../../src/files/file-system.js'

export type Call =
  | 'open' | 'read' | 'write' | 'truncate' | 'sync' | 'dataSync' | 'size' | 'close'
  | 'list' | 'makeDirectory' | 'syncDirectory' | 'rename' | 'remove'

export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made to fail`), { code })
}

/** Files in a map; tells what was called in which order, and any call can be made to fail. Knows nothing of crashes. */
export class FakeFileSystem implements FileSystem {
  readonly files: Map<string, Uint8Array> = new Map()
  /** What was called, with the last part of the path. An open file goes by the name it was opened under. */
  readonly calls: string[] = []
  readonly syncedDirectories: string[] = []
  /** How many files are open. */
  openFiles = 0
  /** Mode of the last file created. */
  mode: number | undefined
  /** The most bytes that one read or write moves. */
  mostBytes: number = Infinity
  /** So many writes take no byte. */
  takeNothing = 0
  /** What reads and writes say that they moved, whatever they did. */
  report: number | undefined
  readonly #failures: { call: Call; after: number; error: Error }[] = []

  /** The `nth` call of that kind from now on fails, once. */
  fail(call: Call, code: string, nth = 1): Error {
    const error = systemError(code)
    this.#failures.push({ call, after: nth - 1, error })
    return error
  }

  text(path: string): string {
    return new TextDecoder().decode(this.content(path))
  }

  content(path: string): Uint8Array {
    const content = this.files.get(path)
    if (content === undefined) throw systemError('ENOENT')
    return content
  }

  enter(call: Call, path: string): void {
    this.calls.push(`${call} ${basename(path)}`)
    const failure = this.#failures.find((candidate) => candidate.call === call)
    if (failure === undefined || failure.after-- > 0) return
    this.#failures.splice(this.#failures.indexOf(failure), 1)
    throw failure.error
  }

  listSync(directory: string): string[] {
    this.enter('list', directory)
    return [...this.files.keys()].filter((path) => dirname(path) === directory).map((path) => basename(path))
  }

  makeDirectorySync(directory: string): void {
    this.enter('makeDirectory', directory)
  }

  syncDirectorySync(directory: string): void {
    this.enter('syncDirectory', directory)
    this.syncedDirectories.push(directory)
  }

  renameSync(from: string, to: string): void {
    this.enter('rename', from)
    const content = this.content(from)
    this.files.delete(from)
    this.files.set(to, content)
    for (const file of this.#opened) if (file.path === from) file.path = to
  }

  removeSync(path: string): void {
    this.enter('remove', path)
    if (!this.files.delete(path)) throw systemError('ENOENT')
  }

  readonly #opened: FakeFile[] = []

  openSync(path: string, { access, mode }: OpenFileOptions): OpenFile {
    this.enter('open', path)
    if (access === 'create') {
      if (this.files.has(path)) throw systemError('EEXIST')
      this.files.set(path, new Uint8Array(0))
      this.mode = mode
    }
    this.content(path)
    const file = new FakeFile(this, path)
    this.#opened.push(file)
    this.openFiles++
    return file
  }

  async list(directory: string): Promise<string[]> { return this.listSync(directory) }
  async makeDirectory(directory: string): Promise<void> { this.makeDirectorySync(directory) }
  async syncDirectory(directory: string): Promise<void> { this.syncDirectorySync(directory) }
  async rename(from: string, to: string): Promise<void> { this.renameSync(from, to) }
  async remove(path: string): Promise<void> { this.removeSync(path) }
  async open(path: string, options: OpenFileOptions): Promise<OpenFile> { return this.openSync(path, options) }
  async lock(): Promise<FileLock> { return { release: async () => undefined } }
}

class FakeFile implements OpenFile {
  readonly #system: FakeFileSystem
  readonly #name: string
  path: string

  constructor(system: FakeFileSystem, path: string) {
    this.#system = system
    this.#name = path
    this.path = path
  }

  readSync(target: Uint8Array, position: number): number {
    this.#system.enter('read', this.#name)
    const { mostBytes, report } = this.#system
    const from = this.#system.content(this.path).subarray(position, position + Math.min(target.byteLength, mostBytes))
    target.set(from)
    return report ?? from.byteLength
  }

  writeSync(pieces: readonly Uint8Array[], position: number): number {
    this.#system.enter('write', this.#name)
    if (this.#system.takeNothing > 0) {
      this.#system.takeNothing--
      return 0
    }
    const given = Buffer.concat(pieces)
    const taken = given.subarray(0, Math.min(given.byteLength, this.#system.mostBytes))
    const before = this.#system.content(this.path)
    const after = new Uint8Array(Math.max(before.byteLength, position + taken.byteLength))
    after.set(before)
    after.set(taken, position)
    this.#system.files.set(this.path, after)
    return this.#system.report ?? taken.byteLength
  }

  truncateSync(bytes: number): void {
    this.#system.enter('truncate', this.#name)
    const after = new Uint8Array(bytes)
    after.set(this.#system.content(this.path).subarray(0, bytes))
    this.#system.files.set(this.path, after)
  }

  syncSync(): void { this.#system.enter('sync', this.#name) }
  dataSyncSync(): void { this.#system.enter('dataSync', this.#name) }

  sizeSync(): number {
    this.#system.enter('size', this.#name)
    return this.#system.content(this.path).byteLength
  }

  closeSync(): void {
    this.#system.openFiles--
    this.#system.enter('close', this.#name)
  }

  async read(target: Uint8Array, position: number): Promise<number> { return this.readSync(target, position) }
  async write(pieces: readonly Uint8Array[], position: number): Promise<number> { return this.writeSync(pieces, position) }
  async truncate(bytes: number): Promise<void> { this.truncateSync(bytes) }
  async sync(): Promise<void> { this.syncSync() }
  async dataSync(): Promise<void> { this.dataSyncSync() }
  async size(): Promise<number> { return this.sizeSync() }
  async close(): Promise<void> { this.closeSync() }
}
