// From where on a figure is a finding.

export type Thresholds = {
  /** Of a standby. */
  readonly lagSeconds: number
  /** An open transaction. */
  readonly transactionSeconds: number
  /** A client's wait for a server in a pool. */
  readonly poolWaitSeconds: number
  /** Connections taken of those that ordinary roles can use. */
  readonly connectionsPercent: number
}

export const defaultThresholds: Thresholds = {
  lagSeconds: 5,
  transactionSeconds: 300,
  poolWaitSeconds: 1,
  connectionsPercent: 90,
}
