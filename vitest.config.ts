import { defineConfig, type ViteUserConfig } from 'vitest/config'

/**
 * A little below what unit tests cover, in percent: of everything, and of the rooms named. What stands in the network thread
 * or another process when it runs (worker.ts, runtime-thread.ts) is left to integration tests, of which v8 sees nothing.
 */
const FLOORS = {
  statements: 81,
  branches: 80,
  functions: 74,
  lines: 81,
  // Rooms that need no socket.
  'src/{framing,protocol,rate-limiter,bridge}/**': { statements: 97, branches: 94, functions: 97, lines: 98 },
  'src/{allow-list,identity,addresses}/**': { statements: 97, branches: 94, functions: 97, lines: 98 },
  'src/libp2p/**': { statements: 76, branches: 75, functions: 65, lines: 77 },
  'src/runtime/**': { statements: 73, branches: 68, functions: 67, lines: 73 }
}

// Unit tests read src; integration and adversarial tests read the built package (`npm run build`),
// because the runtime is a worker thread and a worker starts from a file on disk.
const config: ViteUserConfig = defineConfig({
  test: {
    pool: 'forks',
    // The default leaves one core to the screen; the machines this runs on have two.
    maxWorkers: 2,
    // `npm run test:coverage`
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/cli/**', 'src/demo/**'],
      reporter: ['text-summary', 'json-summary'],
      thresholds: FLOORS
    },
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
          // Rows of the matrix that are played at the same time.
          maxConcurrency: 16,
          testTimeout: 60_000,
          hookTimeout: 60_000
        }
      }
    ]
  }
})

export default config
