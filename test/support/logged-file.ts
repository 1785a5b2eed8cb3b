/** A data file in the logs of a lake that a test writes by hand. */
export interface LoggedFile {
  readonly path: string;
  readonly bytes: number;
  readonly rows: number;
  readonly modifiedAtMs: number;
  readonly stats: string;
  readonly eventDate: string;
  readonly eventHour: number;
}
