/** How the unit tests are run on changed sources: read in the sandbox, a copy of the repository. */
import base from '../../vitest.config.ts'

const { tags } = base.test

const config = {
  test: {
    include: ['test/unit/**/*.test.ts'],
    // It reads the sources, which look otherwise here.
    exclude: ['test/unit/house.test.ts'],
    setupFiles: ['test/mutation/setup.ts'],
    tags,
    tagsFilter: ['!long'],
    // What a change makes hang is noticed after this.
    testTimeout: 10_000,
    hookTimeout: 10_000
  }
}

export default config
