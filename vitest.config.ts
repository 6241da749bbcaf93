import { defineConfig, type ViteUserConfig } from 'vitest/config'

// Unit tests read src; integration and adversarial tests read the built package (`npm run build`),
// because the runtime is a worker thread and a worker starts from a file on disk.
const config: ViteUserConfig = defineConfig({
  test: {
    pool: 'forks',
    // The default leaves one core to the screen; the machines this runs on have two.
    maxWorkers: 2,
    tags: [
      { name: 'long', description: 'takes seconds: left out where tests run again and again (test/mutation)' }
    ],
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000
        }
      },
      {
        test: {
          name: 'adversarial',
          include: ['test/adversarial/**/*.test.ts'],
          // Some of them measure.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000
        }
      }
    ]
  }
})

export default config
