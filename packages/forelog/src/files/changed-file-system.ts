/** File systems that are another one in all but some operations. */
import type { FileSystem } from './file-system.js'

/** `fileSystem`, with some of its operations replaced. */
export function changedFileSystem(fileSystem: FileSystem, changes: Partial<FileSystem>): FileSystem {
  return new Proxy(fileSystem, {
    get(target, name) {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name) as unknown
      const own: unknown = Reflect.get(target, name)
      // Its private members are found by `this`.
      return typeof own === 'function' ? (own.bind(target) as unknown) : own
    },
  })
}

/** Refuses whatever it is asked for: what a view does not show, it does not do either. */
export const refusingFileSystem: FileSystem = new Proxy({} as FileSystem, {
  get: (_, name) => () => {
    throw new Error(`a view has no ${String(name)}`)
  },
})
