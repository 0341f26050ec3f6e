// What a page asked for: on its way, here, or refused.

import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { type Trouble, troubleOf } from "./api.ts";

/** What is to be done where a call says that nobody is let in any more. */
export const EndedContext = createContext<() => void>(() => {});

export interface Answer<T> {
  data: T | undefined;
  trouble: Trouble | undefined;
  isWaiting: boolean;
  wasStopped: boolean;
  stop(): void;
  again(): void;
}

/** Asks whenever `key` is another; `undefined` asks for nothing. An answer that comes after the next question is not shown. */
export function useAnswer<T>(key: string | undefined, ask: (signal: AbortSignal) => Promise<T>): Answer<T> {
  const ended = useContext(EndedContext);
  const [state, setState] = useState<{ key?: string | undefined; data?: T; trouble?: Trouble; isWaiting: boolean; wasStopped?: boolean }>({
    isWaiting: false,
  });
  const [attempt, setAttempt] = useState(0);
  const controller = useRef<AbortController>(undefined);
  const asking = useRef(ask);
  asking.current = ask;
  useEffect(() => {
    if (key === undefined) {
      setState({ isWaiting: false });
      return undefined;
    }
    const mine = new AbortController();
    controller.current = mine;
    setState({ key, isWaiting: true });
    asking.current(mine.signal).then(
      (data) => !mine.signal.aborted && setState({ key, data, isWaiting: false }),
      (error: unknown) => {
        if (mine.signal.aborted) {
          return;
        }
        const trouble = troubleOf(error);
        if (trouble?.isLoggedOut) {
          ended();
        }
        setState({ key, isWaiting: false, ...(trouble ? { trouble } : {}) });
      },
    );
    return () => mine.abort();
  }, [key, attempt, ended]);
  const stop = useCallback(() => {
    controller.current?.abort();
    setState({ key: undefined, isWaiting: false, wasStopped: true });
  }, []);
  const again = useCallback(() => setAttempt((count) => count + 1), []);
  // Before the effect has run, what is here is the answer to the question before.
  const isOld = state.key !== key && !state.wasStopped;
  return {
    data: isOld ? undefined : state.data,
    trouble: isOld ? undefined : state.trouble,
    isWaiting: isOld ? key !== undefined : state.isWaiting,
    wasStopped: state.wasStopped ?? false,
    stop,
    again,
  };
}

/** What comes after the pages that are here. */
export interface More {
  hasMore: boolean;
  isLoadingMore: boolean;
  troubleOfMore: Trouble | undefined;
  load(): Promise<void>;
  stopMore(): void;
}

/** The rows of a search, page by page, all at the version of the first. */
export function usePages<T, R>(
  key: string | undefined,
  ask: (pageToken: string, signal: AbortSignal) => Promise<T>,
  of: (page: T) => { rows: R[]; next: string },
): Answer<T> & More & { rows: R[]; pages: T[] } {
  const first = useAnswer(key, (signal) => ask("", signal));
  const [more, setMore] = useState<{ first: T | undefined; pages: T[]; isWaiting: boolean; trouble?: Trouble }>({
    first: undefined,
    pages: [],
    isWaiting: false,
  });
  const ended = useContext(EndedContext);
  const controller = useRef<AbortController>(undefined);
  // What is awaited goes on from this first page: with another one, it would come too late.
  useEffect(() => () => controller.current?.abort(), [key, first.data]);
  const pages = more.first === first.data ? more.pages : [];
  const all = first.data === undefined ? [] : [first.data, ...pages];
  const last = all.at(-1);
  const next = last === undefined ? "" : of(last).next;
  const load = async () => {
    const from = first.data;
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    setMore({ first: from, pages, isWaiting: true });
    try {
      const page = await ask(next, mine.signal);
      if (!mine.signal.aborted) {
        setMore({ first: from, pages: [...pages, page], isWaiting: false });
      }
    } catch (error) {
      if (mine.signal.aborted) {
        return;
      }
      const trouble = troubleOf(error);
      if (trouble?.isLoggedOut) {
        ended();
      }
      setMore({ first: from, pages, isWaiting: false, ...(trouble ? { trouble } : {}) });
    }
  };
  const stopMore = () => {
    controller.current?.abort();
    setMore({ first: first.data, pages, isWaiting: false });
  };
  const isOfThis = more.first === first.data;
  return {
    ...first,
    rows: all.flatMap((page) => of(page).rows),
    pages: all,
    hasMore: next !== "",
    isLoadingMore: isOfThis && more.isWaiting,
    troubleOfMore: isOfThis ? more.trouble : undefined,
    load,
    stopMore,
  };
}
