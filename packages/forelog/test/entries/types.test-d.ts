/**
 * What the types of entries promise. Compiled with the tests, never run.
 */
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { bytes, json, utf8, validated, type Codec, type StandardSchema } from '../../src/entries/codecs.js'
import { defineEntries, type AppendableOf, type DefinedEntry, type EntryFactory, type EntryOf, type EntrySource } from '../../src/entries/define-entries.js'
import type { Entry, PayloadReader, RawEntry } from '../../src/entries/entry.js'
import { EntryRegistry, type EntryConstructor } from '../../src/entries/entry-registry.js'
import type { RawSource } from '../../src/entries/raw-entries.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <_T extends true>(): void => {}

/** The log's shape, as far as entries matter. */
declare function open<S extends EntrySource = RawSource>(options?: { entries?: S }): Log<AppendableOf<S>, EntryOf<S>>
interface Log<in I, out O> {
  append(entry: I): void
  read(): O
}

// ---- entries of codecs
const entries = defineEntries({
  put: { type: 1, codec: json<{ key: string; value: unknown }>() },
  del: { type: 2, codec: utf8 },
})
type E = EntryOf<typeof entries>
is<Equal<E['name'], 'put' | 'del'>>()
is<Equal<E['type'], 1 | 2>>()
is<Equal<Extract<E, { name: 'del' }>['value'], string>>()
is<Equal<typeof entries.del, EntryFactory<'del', 2, string>>>()
is<Equal<ReturnType<typeof entries.del>, DefinedEntry<'del', 2, string>>>()
is<Equal<AppendableOf<typeof entries>, E>>()
is<E extends Entry ? true : false>()

const log = open({ entries })
log.append(entries.put({ key: 'a', value: 1 }))
log.append(log.read())
const entry = log.read()
switch (entry.name) {
  case 'put':
    is<Equal<typeof entry.type, 1>>()
    entry.value.key.toUpperCase()
    break
  case 'del':
    is<Equal<typeof entry.value, string>>()
    break
  default:
    is<Equal<typeof entry, never>>()
}
if (entry.type === 2) entry.value.toUpperCase()
export const apply = (e: E): string => (e.name === 'put' ? e.value.key : e.value)
apply(entries.del('x'))

// @ts-expect-error wrong value
entries.put({ key: 1, value: 2 })
// @ts-expect-error a number is no string
entries.del(5)
// @ts-expect-error unknown name
entries.nope('x')
// @ts-expect-error what was defined stays
entries.del = entries.put
// @ts-expect-error a value stays
entries.del('x').value = 'y'
// @ts-expect-error raw bytes in a typed log
log.append(new Uint8Array(1))
// @ts-expect-error other entries' entry
log.append(defineEntries({ other: { type: 9, codec: utf8 } }).other('x'))
// @ts-expect-error no codec
defineEntries({ a: { type: 1 } })
// @ts-expect-error a factory of codecs is no codec
defineEntries({ a: { type: 1, codec: json } })
// @ts-expect-error no source of entries
open({ entries: { put: entries.put } })

// ---- names that a registry's methods would collide with
const awkward = defineEntries({ create: { type: 0, codec: bytes }, register: { type: 3, codec: utf8 }, constructor: { type: 4, codec: utf8 } })
open({ entries: awkward }).append(awkward.create(new Uint8Array(1)))
is<Equal<EntryOf<typeof awkward>['name'], 'create' | 'register' | 'constructor'>>()
// @ts-expect-error a string is no bytes
awkward.create('s')

// ---- raw
const raw = open()
raw.append(new Uint8Array([1]))
raw.append({ type: 7, payload: new Uint8Array(2) })
is<Equal<ReturnType<typeof raw.read>, RawEntry>>()
// @ts-expect-error no payload
raw.append({ type: 7 })

// ---- classes in a registry
class Put implements Entry {
  readonly type = 1
  key = ''
  encodePayload(b: Uint8Array): Uint8Array { return b.subarray(0, 0) }
  readPayload(r: PayloadReader): Uint8Array { return r.read(4) }
  decodePayload(_p: Uint8Array): void {}
}
class Del implements Entry {
  readonly type = 2
  id = 0
  encodePayload(b: Uint8Array): Uint8Array { return b.subarray(0, 0) }
  decodePayload(_p: Uint8Array): void {}
}
const registry = new EntryRegistry(() => new Put(), () => new Del())
is<Equal<EntryOf<typeof registry>, Put | Del>>()
is<Equal<AppendableOf<typeof registry>, Put | Del>>()
const reg = open({ entries: registry })
reg.append(new Put())
const read = reg.read()
if (read.type === 1) read.key.toUpperCase()
else read.id.toFixed()
if (read instanceof Del) read.id.toFixed()
// @ts-expect-error not an entry of this log
reg.append({ type: 3, encodePayload: (b: Uint8Array) => b, decodePayload() {} })
// @ts-expect-error a class is no function that makes an entry
new EntryRegistry(Put)
// @ts-expect-error no entry
new EntryRegistry(() => ({ type: 1 }))

const grown = new EntryRegistry(() => new Put()).register(() => new Del())
is<Equal<EntryOf<typeof grown>, Put | Del>>()
const made = registry.create(1)
is<Equal<typeof made, Put | Del>>()
const both = new EntryRegistry().register(() => new Put())
is<Equal<EntryOf<typeof both>, Put>>()
const constructor: EntryConstructor<Put> = () => new Put()
is<Equal<EntryOf<EntryRegistry<[Put]>>, Put>>()

function takesAny(any: EntryRegistry): number {
  return any.create(1).type
}
takesAny(registry)
takesAny(new EntryRegistry())
takesAny(new EntryRegistry(constructor))
const anyRegistry: EntryRegistry = registry
const anyLog = open({ entries: anyRegistry })
is<Equal<EntryOf<EntryRegistry>, Entry>>()
anyLog.append(new Put())

// ---- msgpackr: any in, any out, a Buffer back, extra optional parameters
const typed: Codec<{ id: number }> = new Packr()
const packed = defineEntries({ m: { type: 1, codec: new Packr() }, typed: { type: 2, codec: typed } })
const unpacked = open({ entries: packed }).read()
if (unpacked.name === 'm') is<Equal<typeof unpacked.value, any>>()
else unpacked.value.id.toFixed()
// @ts-expect-error not that type
packed.typed({ id: 'x' })

// ---- Standard Schema, with and without a transformation
const User = z.object({ id: z.string(), at: z.coerce.date(), age: z.number().default(0) })
const users = defineEntries({ user: { type: 1, codec: validated(json(), User) } })
const users1 = open({ entries: users })
users1.append(users.user({ id: 'a', at: '2026-01-01' }))
const user = users1.read()
is<Equal<typeof user.value.at, Date>>()
is<Equal<typeof user.value.age, number>>()
// @ts-expect-error id is missing
users.user({ at: '2026' })
const same = defineEntries({ name: { type: 1, codec: validated(utf8, z.string().min(1)) } })
is<Equal<EntryOf<typeof same>['value'], string>>()
declare const structural: StandardSchema<string, number>
is<Equal<ReturnType<typeof viaStructural.decode>, number>>()
const viaStructural = validated(json(), structural)
viaStructural.encode('x')
// @ts-expect-error no schema
validated(json(), { parse: () => 1 })

// ---- codecs of one's own
const date: Codec<Date> = { encode: (value) => utf8.encode(value.toISOString()), decode: (payload) => new Date(utf8.decode(payload)) }
const dates = defineEntries({ at: { type: 1, codec: date }, any: { type: 2, codec: json() } })
is<Equal<Extract<EntryOf<typeof dates>, { name: 'at' }>['value'], Date>>()
// json() without a type takes it from where it stands: there `any`, elsewhere `unknown`.
is<Equal<Extract<EntryOf<typeof dates>, { name: 'any' }>['value'], any>>()
const standingAlone = json()
is<Equal<ReturnType<typeof standingAlone.decode>, unknown>>()

export { grown, made, both, user, same, dates, standingAlone }
