import type { FileSystem, OpenFile } from "../../bridge/lake/stores/local/file-system.ts";

interface FileNode {
  readonly kind: "file";
  bytes: Buffer;
  /** Content that certainly survives a power cut; null = never flushed. */
  flushed: Buffer | null;
  readonly modifiedAtMs: number;
}

interface FolderNode {
  readonly kind: "folder";
  readonly entries: Map<string, Node>;
  flushed: Map<string, Node>;
}

type Node = FileNode | FolderNode;

/** Faults of the disk, to test that tests notice them. */
export interface DiskFaults {
  readonly forgetsFileFlush?: boolean;
  readonly forgetsFolderFlush?: boolean;
}

export interface ProcessOptions {
  /** The process dies at its nth call: that one and all later ones reject. */
  readonly diesAtCall?: number;
  /** Asked before each call; a code makes the call fail with it. */
  readonly fault?: (call: string, path: string) => string | null;
}

export function fileError(code: string, path: string, syscall = "?"): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code, syscall });
}

function folderNode(entries: Iterable<[string, Node]> = []): FolderNode {
  const all = [...entries];
  return { kind: "folder", entries: new Map(all), flushed: new Map(all) };
}

/**
 * A disk that loses unflushed data in a power cut: bytes of files, and entries of folders, each
 * independently, in the worst way that POSIX allows. Any number of processes can use it.
 */
export class FakeDisk {
  readonly #root: FolderNode;
  readonly #faults: DiskFaults;
  calls = 0;

  constructor(root: FolderNode = folderNode(), faults: DiskFaults = {}) {
    this.#root = root;
    this.#faults = faults;
  }

  /** The disk as one process sees it. */
  process(options: ProcessOptions = {}): FileSystem {
    let calls = 0;
    const call = async <Result>(name: string, path: string, work: () => Result): Promise<Result> => {
      this.calls++;
      if (++calls >= (options.diesAtCall ?? Number.POSITIVE_INFINITY)) throw fileError("EKILLED", path);
      const code = options.fault?.(name, path) ?? null;
      if (code !== null) throw fileError(code, path, name);
      // The call takes effect now; others run before its caller continues.
      const result = work();
      await new Promise<void>((resolve) => setImmediate(resolve));
      return result;
    };
    const openFile = (path: string, node: Node): OpenFile => ({
      write: (bytes) => call("write", path, () => write(node, bytes)),
      flush: () => call("flush", path, () => this.#flush(node)),
      close: async () => undefined,
    });
    return {
      create: (path) =>
        call("create", path, () => {
          const node: FileNode = {
            kind: "file",
            bytes: Buffer.alloc(0),
            flushed: null,
            modifiedAtMs: Date.now(),
          };
          this.#enter(path, node);
          return openFile(path, node);
        }),
      open: (path) => call("open", path, () => openFile(path, this.#find(path))),
      read: (path) => call("read", path, () => Buffer.from(this.#file(path).bytes)),
      link: (from, to) => call("link", to, () => this.#enter(to, this.#file(from))),
      rename: (from, to) =>
        call("rename", to, () => {
          const node = this.#file(from);
          this.#remove(from);
          this.#folder(parentOf(to)).entries.set(nameOf(to), node);
        }),
      unlink: (path) =>
        call("unlink", path, () => {
          this.#file(path);
          this.#remove(path);
        }),
      makeFolder: (path) =>
        call("makeFolder", path, () => {
          this.#enter(path, { kind: "folder", entries: new Map(), flushed: new Map() });
        }),
      removeFolder: (path) => call("removeFolder", path, () => this.#remove(path)),
      readFolder: (path) =>
        call("readFolder", path, () =>
          [...this.#folder(path).entries].map(([name, node]) => ({ name, isFolder: node.kind === "folder" })),
        ),
      stat: (path) =>
        call("stat", path, () => {
          const node = this.#find(path);
          return node.kind === "file"
            ? { bytes: node.bytes.length, modifiedAtMs: node.modifiedAtMs }
            : { bytes: 0, modifiedAtMs: 0 };
        }),
      freeBytes: (path) => call("freeBytes", path, () => 1e9),
    };
  }

  /** The disk after a power cut; `random` decides which unflushed data survives. */
  cutPower(random: () => number): FakeDisk {
    const survivors = new Map<Node, Node>();
    const survive = (node: Node): Node => {
      const known = survivors.get(node);
      if (known) return known;
      if (node.kind === "file") {
        const bytes = survivingBytes(node, random);
        const file: FileNode = { kind: "file", bytes, flushed: bytes, modifiedAtMs: node.modifiedAtMs };
        survivors.set(node, file);
        return file;
      }
      const names = new Set([...node.entries.keys(), ...node.flushed.keys()]);
      const kept = [...names].flatMap((name): [string, Node][] => {
        const entry = random() < 0.5 ? node.entries.get(name) : node.flushed.get(name);
        return entry ? [[name, survive(entry)]] : [];
      });
      const folder = folderNode(kept);
      survivors.set(node, folder);
      return folder;
    };
    return new FakeDisk(survive(this.#root) as FolderNode, this.#faults);
  }

  #flush(node: Node): void {
    if (node.kind === "file" && !this.#faults.forgetsFileFlush) node.flushed = Buffer.from(node.bytes);
    if (node.kind === "folder" && !this.#faults.forgetsFolderFlush) node.flushed = new Map(node.entries);
  }

  #enter(path: string, node: Node): void {
    const { entries } = this.#folder(parentOf(path));
    if (entries.has(nameOf(path))) throw fileError("EEXIST", path);
    entries.set(nameOf(path), node);
  }

  #remove(path: string): void {
    this.#find(path);
    this.#folder(parentOf(path)).entries.delete(nameOf(path));
  }

  #find(path: string): Node {
    let node: Node = this.#root;
    for (const part of path.split("/").filter((name) => name !== "")) {
      if (node.kind !== "folder") throw fileError("ENOTDIR", path);
      const next = node.entries.get(part);
      if (!next) throw fileError("ENOENT", path);
      node = next;
    }
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#find(path);
    if (node.kind !== "file") throw fileError("EISDIR", path);
    return node;
  }

  #folder(path: string): FolderNode {
    const node = this.#find(path);
    if (node.kind !== "folder") throw fileError("ENOTDIR", path);
    return node;
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function write(node: Node, bytes: Uint8Array): void {
  if (node.kind !== "file") throw fileError("EISDIR", "");
  node.bytes = Buffer.concat([node.bytes, bytes]);
}

/** All unflushed bytes, none, or a part followed by zeros. */
function survivingBytes(node: FileNode, random: () => number): Buffer {
  const flushed = node.flushed ?? Buffer.alloc(0);
  if (flushed.equals(node.bytes)) return flushed;
  const chance = random();
  if (chance < 0.4) return flushed;
  if (chance < 0.6) return Buffer.from(node.bytes);
  const torn = Buffer.alloc(node.bytes.length);
  node.bytes.copy(torn, 0, 0, Math.floor(random() * node.bytes.length));
  return torn;
}
