import { defineConfig } from 'vitest/config'

// `fast` needs no server and runs with every check; `servers` starts real ones and a real terminal; `bench` counts what pgvigil costs them.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{model,sql,keys,actions,config,store,panels,check}/**/*.test.{ts,tsx}'],
          environment: 'node',
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
