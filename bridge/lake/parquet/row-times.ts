/** Whole ms, rounded down; `epoch_ms` truncates towards 0. */
export const eventMs = "(epoch_us(event_time) // 1000 - (epoch_us(event_time) % 1000 < 0)::BIGINT)";
export const microsOfEvent = "((epoch_us(event_time) % 1000 + 1000) % 1000)::INTEGER";
/** Files of version 0.1.0 lack the column: their ingest time was stream time. */
export const streamTime = "coalesce(_stream_time, ingest_time)";
