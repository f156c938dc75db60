import { expect, it } from 'vitest'
import { changedFileSystem, refusingFileSystem } from '../../src/files/changed-file-system.js'
import { SimulatedDisk } from '../../src/testing/index.js'

it('a changed file system does the changes, and all else as the one it stands on, which has private members', async () => {
  const disk = new SimulatedDisk({ seed: 1, directories: ['/data'] })
  const changed = changedFileSystem(disk, { list: async (path) => [...(await disk.list(path)), 'more'] })
  await changed.makeDirectory('/data/log', 0o750)
  expect(await changed.list('/data')).toEqual(['log', 'more'])
  expect(changed.listSync('/data')).toEqual(['log'])
  expect(await disk.list('/data')).toEqual(['log'])
  expect(changed.makeAlike).toBeUndefined()
})

it('what a view does not show is refused, with its name', () => {
  const view = changedFileSystem(refusingFileSystem, { listSync: () => ['a'] })
  expect(view.listSync('/data')).toEqual(['a'])
  expect(() => view.removeSync('/data/a')).toThrow('a view has no removeSync')
  expect(() => view.rename('/data/a', '/data/b')).toThrow('a view has no rename')
})
