// The shared store: plain state in a vanilla zustand store. Readers subscribe; only updates.ts writes.

import { createStore, type StoreApi } from 'zustand/vanilla'
import type { ListView, ServerState, Settings, State } from './state.ts'

export type Store = Pick<StoreApi<State>, 'getState' | 'setState' | 'subscribe'>

export type ServerSeed = Pick<ServerState, 'id' | 'kind' | 'host' | 'port' | 'user' | 'database'> &
  Partial<Pick<ServerState, 'capacity'>>

export const freshListView: ListView = {
  selectedId: null,
  sort: null,
  filter: '',
  tagged: [],
  tree: true,
  opened: [],
  lastIndex: 0,
}

/** A store in which nothing has been heard from any server yet. The first PostgreSQL server is in focus. */
export function createState(seeds: readonly ServerSeed[], settings: Settings, panel: string, now: number): State {
  return {
    servers: Object.fromEntries(seeds.map(seed => [seed.id, emptyServer(seed, now)])),
    order: seeds.map(seed => seed.id),
    now,
    held: null,
    events: [],
    eventsTold: 0,
    rivals: [],
    works: [],
    pauses: [],
    ownPids: {},
    leftIndexes: [],
    view: {
      panel,
      focus: seeds.find(seed => seed.kind === 'postgres')?.id ?? null,
      list: {},
      perList: {},
      detail: false,
      detailTop: 0,
      dialog: null,
      prompt: null,
      message: null,
      size: { columns: 80, rows: 24 },
      hideIdle: false,
    },
    settings,
    cost: null,
  }
}

export function createAppStore(state: State): Store {
  return createStore<State>(() => state)
}

function emptyServer(seed: ServerSeed, now: number): ServerState {
  return {
    capacity: {},
    ...seed,
    role: null,
    link: { state: 'connecting', word: 'CONNECTING', since: now, why: null },
    tls: null,
    facts: null,
    readings: {},
    lsnHistory: [],
    lastAnswerAt: null,
    outage: null,
    lastNotice: null,
    firstSeen: {},
    progressMarks: {},
    firstSizes: {},
    lockMarks: {},
    fileSystems: null,
  }
}
