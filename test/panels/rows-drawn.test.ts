// Of thousands of rows only those on the screen are made into text.

import { expect, test } from 'vitest'
import { activityList } from '../../src/panels/activity.ts'
import { arrangedRows } from '../../src/panels/shown.ts'
import { activity } from '../../src/sql/activity.ts'
import type { State } from '../../src/store/state.ts'
import { screen } from '../../src/ui/screen.ts'
import { noon, sampleOf, stateOf } from '../support/state.ts'

const sessions = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    pid: 1000 + i,
    backend_type: 'client backend',
    backend_start: `then ${i}`,
    state: i % 3 === 0 ? 'active' : 'idle',
    xact_age_seconds: i % 3 === 0 ? i : null,
    state_age_seconds: i,
    query: `select ${i}`,
  }))

function stateWith(count: number): State {
  const state = stateOf([{ id: 'a', role: 'primary', samples: [sampleOf(activity, sessions(count))] }], noon)
  return { ...state, view: { ...state.view, size: { columns: 200, rows: 50 } } }
}

test('2,000 sessions cost as many texts as 200', () => {
  const texts = (count: number) => {
    let made = 0
    const restore = activityList.columns.map(column => {
      const { text } = column
      const counted = column as { text: typeof text }
      counted.text = row => {
        made++
        return text(row)
      }
      return () => {
        counted.text = text
      }
    })
    try {
      const state = stateWith(count)
      screen(state, { tops: {} })
      expect(arrangedRows(state, activityList).items).toHaveLength(count)
      return made
    } finally {
      for (const undo of restore) undo()
    }
  }
  const few = texts(200)
  expect(few).toBeGreaterThan(0)
  expect(few).toBeLessThanOrEqual(50 * activityList.columns.length)
  expect(texts(2000)).toBe(few)
})
