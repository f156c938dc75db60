/**
 * On what the figures were measured.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import type { Contender } from './contender.js'
import type { Environment } from './results.js'

export function describeEnvironment(directory: string, contenders: readonly Contender[], floor: string, slowSyncs: string | undefined): Environment {
  const mount = mountOf(directory)
  return {
    machine: [read('/sys/class/dmi/id/sys_vendor'), read('/sys/class/dmi/id/product_name')].filter(Boolean).join(' ') || `${type()} on ${process.arch}`,
    processor: cpus()[0]?.model.trim() || process.arch,
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    fileSystem: mount === undefined ? 'unknown' : `${mount.fileSystem} (${mount.options})`,
    device: mount === undefined ? 'unknown' : describeDevice(mount.device),
    node: process.version,
    floor,
    ...(slowSyncs === undefined ? {} : { slowSyncs }),
    contenders: Object.fromEntries(contenders.map((contender) => [contender.name, { version: contender.version() ?? '', usage: contender.usage }])),
  }
}

/** File systems that keep nothing: what a sync costs there says nothing. */
export function isInMemory({ fileSystem }: Environment): boolean {
  return /^(tmpfs|ramfs)\b/.test(fileSystem)
}

function mountOf(directory: string): { device: string; fileSystem: string; options: string } | undefined {
  const path = realpathSync(directory)
  const mounts = (read('/proc/self/mounts') ?? '')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point]) => point !== undefined && (path === point || path.startsWith(point === '/' ? '/' : `${point}/`)))
  const [device, , fileSystem, options] = mounts.sort((a, b) => (b[1] as string).length - (a[1] as string).length)[0] ?? []
  return device === undefined || fileSystem === undefined ? undefined : { device, fileSystem, options: options ?? '' }
}

function describeDevice(device: string): string {
  const name = device.replace(/^\/dev\//, '')
  const block = [name, name.replace(/p?\d+$/, '')].map((each) => `/sys/block/${each}`).find((each) => existsSync(each))
  if (block === undefined) return name
  const cache = read(`${block}/queue/write_cache`)
  return `${read(`${block}/device/model`) ?? name}${cache === undefined ? '' : ` (write cache: ${cache})`}`
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}
