import { ByteReader, ByteWriter } from "./bytes.ts";
import type {
  ConfChange,
  ConfChangeStep,
  ConfState,
  ConfTransition,
  Entry,
  MessageType,
  RaftMessage,
  RaftSnapshot,
} from "./types.ts";

/** Order is the wire format: append only. */
const MESSAGE_TYPES: readonly MessageType[] = [
  "pre-vote",
  "pre-vote-reply",
  "vote",
  "vote-reply",
  "append",
  "append-reply",
  "heartbeat",
  "heartbeat-reply",
  "snapshot",
  "timeout-now",
];
const STEP_TYPES: readonly ConfChangeStep["type"][] = ["add-voter", "add-learner", "remove"];
const TRANSITIONS: readonly ConfTransition[] = ["auto", "implicit", "explicit"];
const REJECT = 1;
const HAS_SNAPSHOT = 2;
/** Index, term and kind. */
const ENTRY_HEAD_BYTES = 17;

export function encodeMessage(message: RaftMessage): Buffer {
  const writer = new ByteWriter();
  writeMessage(writer, message);
  return writer.done();
}

/** @throws RangeError when the bytes are not a message. */
export function decodeMessage(buffer: Buffer): RaftMessage {
  return readMessage(new ByteReader(buffer));
}

export function writeMessage(writer: ByteWriter, message: RaftMessage): void {
  const { from, to, term, index, logTerm, commit, hint } = message;
  writer
    .byte(MESSAGE_TYPES.indexOf(message.type))
    .byte((message.reject ? REJECT : 0) | (message.snapshot === null ? 0 : HAS_SNAPSHOT))
    .number(from)
    .number(to)
    .number(term)
    .number(index)
    .number(logTerm)
    .number(commit)
    .number(hint);
  writeEntries(writer, message.entries);
  if (message.snapshot !== null) writeSnapshot(writer, message.snapshot);
}

/** @throws RangeError when what follows is not a message. */
export function readMessage(reader: ByteReader): RaftMessage {
  const type = MESSAGE_TYPES[reader.byte()];
  if (type === undefined) throw new RangeError("unknown message type");
  const flags = reader.byte();
  return {
    type,
    from: reader.number(),
    to: reader.number(),
    term: reader.number(),
    index: reader.number(),
    logTerm: reader.number(),
    commit: reader.number(),
    reject: (flags & REJECT) !== 0,
    hint: reader.number(),
    entries: readEntries(reader),
    snapshot: (flags & HAS_SNAPSHOT) === 0 ? null : readSnapshot(reader),
  };
}

export function encodeConfChange(change: ConfChange): Buffer {
  const writer = new ByteWriter().byte(TRANSITIONS.indexOf(change.transition)).u32(change.steps.length);
  for (const step of change.steps) writer.byte(STEP_TYPES.indexOf(step.type)).number(step.id);
  return writer.bytes(change.context).done();
}

/** @throws RangeError when the bytes are not a change. */
export function decodeConfChange(buffer: Buffer): ConfChange {
  const reader = new ByteReader(buffer);
  const transition = TRANSITIONS[reader.byte()];
  if (transition === undefined) throw new RangeError("unknown configuration transition");
  const steps = Array.from({ length: reader.u32() }, () => {
    const type = STEP_TYPES[reader.byte()];
    if (type === undefined) throw new RangeError("unknown configuration step");
    return { type, id: reader.number() };
  });
  return { steps, transition, context: reader.bytes() };
}

export function writeEntries(writer: ByteWriter, entries: readonly Entry[]): void {
  writer.u32(entries.length);
  for (const { index, term, kind, data } of entries)
    writer
      .number(index)
      .number(term)
      .byte(kind === "conf" ? 1 : 0)
      .bytes(data);
}

/** All of them share one copy of what was read: they come together and are forgotten together. */
export function readEntries(reader: ByteReader): Entry[] {
  const count = reader.u32();
  const entries: Entry[] = [];
  if (count === 0) return entries;
  const own = reader.detached(() => {
    for (let left = count; left > 0; left--) {
      reader.skip(ENTRY_HEAD_BYTES);
      reader.skip(reader.u32());
    }
  });
  for (let left = count; left > 0; left--)
    entries.push({
      index: own.number(),
      term: own.number(),
      kind: own.byte() === 1 ? "conf" : "normal",
      data: own.view(),
    });
  return entries;
}

export function writeSnapshot(writer: ByteWriter, { index, term, conf, data }: RaftSnapshot): void {
  writer.number(index).number(term);
  writeConf(writer, conf);
  writer.bytes(data);
}

export function readSnapshot(reader: ByteReader): RaftSnapshot {
  return { index: reader.number(), term: reader.number(), conf: readConf(reader), data: reader.bytes() };
}

function writeConf(writer: ByteWriter, conf: ConfState): void {
  writer.numbers(conf.voters).numbers(conf.learners).numbers(conf.votersOutgoing).numbers(conf.learnersNext);
  writer.byte(conf.autoLeave ? 1 : 0);
}

function readConf(reader: ByteReader): ConfState {
  return {
    voters: reader.numbers(),
    learners: reader.numbers(),
    votersOutgoing: reader.numbers(),
    learnersNext: reader.numbers(),
    autoLeave: reader.byte() === 1,
  };
}
