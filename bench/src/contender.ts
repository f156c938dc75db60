/**
 * What is compared: forelog and its peers, each behind this one interface, each in one file of `contenders/`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Contender<S extends Store = Store> {
  readonly name: string
  /** How it is used here, where there is more than one way. */
  readonly usage: string
  /** The installed version, or undefined where it can't be run. */
  version(): string | undefined
  open(directory: string, options: StoreOptions): Promise<S>
}

export interface StoreOptions {
  /** Whether an append resolves when it is on stable storage (as every figure has it, unless it says otherwise). */
  readonly durable: boolean
  /** forelog alone: bytes from which on a segment is closed. */
  readonly segmentBytes?: number
  /** LMDB alone: take what is known to be flushed, though this boot wrote it. Without, it trusts the page cache of a kernel that lives on. */
  readonly powerWasCut?: boolean
}

export interface Store {
  append(payload: Uint8Array): Promise<unknown>
  appendBatch(payloads: readonly Uint8Array[]): Promise<unknown>
  /** Visits every payload that is stored, in order, by the fastest means that the store offers. */
  replay(): Promise<Replayed>
  close(): Promise<void>
}

/** A store that tells what is in it, for the tests of `proofs/`. */
export interface ReadableStore extends Store {
  /** Every entry in order: its number, from 1 on, and what the store has for its payload. */
  read(): AsyncIterable<StoredEntry>
  /** What opening said of the end that it found, where there is a way to say it. */
  readonly notice?: string
}

export type StoredEntry = readonly [number: number, payload: unknown]

export interface Replayed {
  readonly entries: number
  readonly bytes: number
}

const nodeModules = new URL('../node_modules/', import.meta.url)

/** The version of a peer that is installed in this folder. */
export function installedVersion(packageName: string): string | undefined {
  const path = fileURLToPath(new URL(`${packageName}/package.json`, nodeModules))
  if (!existsSync(path)) return undefined
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}

/**
 * Loads a peer. Through a variable, so that the compiler does not look for it: the workspace is checked without the peers,
 * and each adapter declares the little that it calls.
 */
export async function loadPeer<T>(packageName: string): Promise<T> {
  return (await import(packageName)) as T
}
