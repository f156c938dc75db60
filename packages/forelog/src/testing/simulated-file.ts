import type { OpenFile, OpenFileOptions } from '../files/file-system.js'
import { type BegunCall, type CallFacts, checkFault, codeOf, type DiskCore, type Handle } from './disk-core.js'
import { isUnsynced, readBytes, syncFile, syncRange, truncateFile, writeBytes } from './disk-state.js'
import { type CallKind, systemError } from './faults.js'

/** An open file of a simulated disk. */
export class SimulatedFile implements OpenFile, Handle {
  readonly #core: DiskCore
  readonly #id: number
  readonly #path: string
  readonly #options: OpenFileOptions
  #closed = false
  /** A failed sync of another handle that this one has not been told of yet. */
  #untold: string | undefined

  constructor(core: DiskCore, id: number, path: string, options: OpenFileOptions) {
    this.#core = core
    this.#id = id
    this.#path = path
    this.#options = options
    core.addHandle(id, this)
  }

  tellLater(code: string): void {
    this.#untold = code
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#core.later(this.#facts('read', position, target.byteLength), (begun) => this.#read(begun, target, position))
  }

  readSync(target: Uint8Array, position: number): number {
    return this.#core.now(this.#facts('read', position, target.byteLength), (begun) => this.#read(begun, target, position))
  }

  write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    return this.#core.later(this.#facts('write', position, bytesOf(pieces)), (begun) => this.#write(begun, pieces, position))
  }

  writeSync(pieces: readonly Uint8Array[], position: number): number {
    return this.#core.now(this.#facts('write', position, bytesOf(pieces)), (begun) => this.#write(begun, pieces, position))
  }

  truncate(bytes: number): Promise<void> {
    return this.#core.later(this.#facts('truncate', bytes), (begun) => this.#truncate(begun, bytes))
  }

  truncateSync(bytes: number): void {
    this.#core.now(this.#facts('truncate', bytes), (begun) => this.#truncate(begun, bytes))
  }

  sync(): Promise<void> {
    return this.#core.later(this.#facts('sync'), (begun) => this.#sync(begun))
  }

  syncSync(): void {
    this.#core.now(this.#facts('sync'), (begun) => this.#sync(begun))
  }

  dataSync(): Promise<void> {
    return this.#core.later(this.#facts('dataSync'), (begun) => this.#sync(begun))
  }

  dataSyncSync(): void {
    this.#core.now(this.#facts('dataSync'), (begun) => this.#sync(begun))
  }

  size(): Promise<number> {
    return this.#core.later(this.#facts('size'), (begun) => this.#size(begun))
  }

  sizeSync(): number {
    return this.#core.now(this.#facts('size'), (begun) => this.#size(begun))
  }

  close(): Promise<void> {
    return this.#core.later(this.#facts('close'), (begun) => this.#close(begun))
  }

  closeSync(): void {
    this.#core.now(this.#facts('close'), (begun) => this.#close(begun))
  }

  #read(begun: BegunCall, target: Uint8Array, position: number): number {
    this.#checkOpen(begun)
    const most = begun.fault?.code === undefined ? begun.fault?.bytes : undefined
    if (most === undefined) checkFault(begun)
    const wanted = most === undefined ? target : target.subarray(0, most)
    return readBytes(this.#core.file(this.#id), wanted, position)
  }

  #write(begun: BegunCall, pieces: readonly Uint8Array[], position: number): number {
    this.#checkWritable(begun)
    const { call, fault } = begun
    const asked = bytesOf(pieces)
    const writeThrough = this.#options.writeThrough === true
    const fails = fault !== undefined && (fault.code !== undefined || fault.bytes === undefined)
    if (fails && writeThrough && fault.syncFailure !== undefined) {
      this.#put(pieces, position, asked)
      return this.#failSync(begun, codeOf(fault))
    }
    if (fails) {
      this.#put(pieces, position, Math.min(asked, fault.bytes ?? 0))
      throw systemError(codeOf(fault), call)
    }
    const taken = Math.min(asked, fault?.bytes ?? asked)
    const withRoom = this.#core.bytesWithRoom(this.#core.file(this.#id), position, taken)
    const late = this.#core.behaviour.lateAllocation === true
    if (withRoom === 0 && taken > 0 && !late) throw systemError('ENOSPC', call)
    const bytes = late ? taken : withRoom
    this.#put(pieces, position, bytes)
    if (writeThrough && withRoom < bytes) return this.#failSync(begun, 'ENOSPC')
    if (writeThrough) this.#throwUntold(begun)
    if (writeThrough) {
      this.#core.tell(call, 'during')
      syncRange(this.#core.fileToChange(this.#id), position, bytes, Infinity)
    }
    return bytes
  }

  #put(pieces: readonly Uint8Array[], position: number, bytes: number): void {
    if (bytes === 0) return
    const keepZeros = this.#core.behaviour.unwritten === 'old-bytes'
    writeBytes(this.#core.fileToChange(this.#id), pieces, position, bytes, this.#core.nextMoment(), keepZeros)
  }

  #truncate(begun: BegunCall, bytes: number): void {
    this.#checkWritable(begun)
    checkFault(begun)
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw systemError('EINVAL', begun.call)
    truncateFile(this.#core.fileToChange(this.#id), bytes, this.#core.nextMoment())
  }

  #sync(begun: BegunCall): void {
    this.#checkOpen(begun)
    this.#throwUntold(begun)
    if (begun.fault !== undefined) this.#failSync(begun, codeOf(begun.fault))
    if (this.#core.behaviour.lateAllocation === true && this.#core.freeBytes() < 0) this.#failSync(begun, 'ENOSPC')
    if (isUnsynced(this.#core.file(this.#id))) syncFile(this.#core.fileToChange(this.#id), begun.upTo)
  }

  #throwUntold({ call }: BegunCall): void {
    const untold = this.#untold
    this.#untold = undefined
    if (untold !== undefined) throw systemError(untold, call)
  }

  #failSync({ call, fault, upTo }: BegunCall, code: string): never {
    const covered = call.kind === 'write' ? Infinity : upTo
    this.#core.failSync(this.#id, fault?.syncFailure, covered, code, this)
    throw systemError(code, call)
  }

  #size(begun: BegunCall): number {
    this.#checkOpen(begun)
    checkFault(begun)
    return this.#core.file(this.#id).size
  }

  #close(begun: BegunCall): void {
    this.#checkOpen(begun)
    this.#closed = true // close(2): the descriptor is gone, after an error too
    this.#core.removeHandle(this.#id, this)
    checkFault(begun)
  }

  #checkOpen({ call }: BegunCall): void {
    if (this.#closed) throw systemError('EBADF', call)
  }

  #checkWritable(begun: BegunCall): void {
    this.#checkOpen(begun)
    if (this.#options.access === 'read') throw systemError('EBADF', begun.call)
  }

  #facts(kind: CallKind, position?: number, bytes?: number): CallFacts {
    return {
      kind,
      path: this.#path,
      ...(position === undefined ? {} : { position }),
      ...(bytes === undefined ? {} : { bytes }),
      ...(kind === 'write' && this.#options.writeThrough === true ? { writeThrough: true } : {}),
    }
  }
}

function bytesOf(pieces: readonly Uint8Array[]): number {
  let bytes = 0
  for (const piece of pieces) bytes += piece.byteLength
  return bytes
}
