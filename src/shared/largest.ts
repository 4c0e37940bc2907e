// The largest of many numbers that are offered one after the other, each with a place and a row: a heap whose root is the
// smallest of those that are kept, so that almost every offer is one comparison. Pure. Called by whoever shows the busiest.

export interface Kept {
  readonly value: number;
  readonly place: number;
  readonly row: number;
}

export class Largest {
  readonly #most: number;
  readonly #heap: Kept[] = [];

  /** @param most how many are kept. */
  constructor(most: number) {
    this.#most = most;
  }

  offer(value: number, place: number, row: number): void {
    const heap = this.#heap;
    if (heap.length < this.#most) {
      heap.push({ value, place, row });
      this.#rise(heap.length - 1);
    } else if (heap.length > 0 && value > heap[0]!.value) {
      heap[0] = { value, place, row };
      this.#sink();
    }
  }

  #rise(at: number): void {
    const heap = this.#heap;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (heap[parent]!.value <= heap[at]!.value) return;
      [heap[parent], heap[at]] = [heap[at]!, heap[parent]!];
      at = parent;
    }
  }

  #sink(): void {
    const heap = this.#heap;
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && heap[child]!.value < heap[least]!.value) least = child;
      }
      if (least === at) return;
      [heap[least], heap[at]] = [heap[at]!, heap[least]!];
      at = least;
    }
  }

  /** Largest first; among equals as their places and rows are. */
  take(): Kept[] {
    return this.#heap.toSorted((a, b) => b.value - a.value || a.place - b.place || a.row - b.row);
  }
}
