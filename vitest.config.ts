import { defineConfig } from 'vitest/config'

// `fast` needs no server and runs with every check; `servers` starts real ones and a real terminal; `faults` does to them what an incident does; `bench`
// counts what pgvigil costs them.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{model,sql,keys,actions,config,store,panels,check}/**/*.test.{ts,tsx}'],
          environment: 'node',
          // Thousands of screens in one test, on a machine that may be busy.
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'servers',
          include: ['test/{servers,terminal}/**/*.test.ts'],
          environment: 'node',
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
          // They measure real servers in real time: a machine that is busy for a moment gets a second chance.
          retry: 2,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          environment: 'node',
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
          // Bounds of tenths of a second, on a machine that may be busy for a moment.
          retry: 2,
        },
      },
      {
        test: {
          name: 'bench',
          include: ['test/bench/**/*.test.ts'],
          environment: 'node',
          testTimeout: 120_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
