/* Reading without a lock, and pins, against segments that are used again: src/engine/read.cc and room.cc.
 *
 * One key, two segments. The writer writes the key's next version into the other segment, word by word, switches the
 * slot to it, raises the generation of the segment that it left, and waits for its pins before it writes there again.
 * Readers copy or pin; a reader may die with its pin.
 *
 * Checked: what a reader takes is whole, no older than what was there when it began, and stays as it is while it is
 * pinned; and the writer does not wait for ever.
 *
 * Each access to shared memory is one step, in one order for all. What x86 and the C++ memory model add is not here.
 *
 * With one of these defined the check must fail: NO_SECOND_LOOK (the slot is not looked at again after the generation),
 * NO_LAST_LOOK (nor the generation after the copy), LATE_PIN (the pin is raised after the last look), PINS_FIRST (the
 * writer looks at the pins before it raises the generation), NO_GENERATION (it does not raise it), PINS_FOR_EVER (the
 * pins of the dead stay).
 */
#define READERS 2
#ifndef VERSIONS
#define VERSIONS 3
#endif
#define PIN(reader, segment) pins[(reader) * 2 + (segment)]

byte slot = 0;           /* the segment where the key's record is */
byte generation[2];
byte first[2], last[2];  /* the words of the record; whole when they are alike */
bool pins[READERS * 2];
bool dead[READERS];

byte now = 0;            /* not of the engine: the version that readers must see at least */

/* Membership::bury_dead clears the pins of the dead. */
inline wait_for_pins(segment) {
  reader = 0;
  do
  :: reader < READERS ->
     do
     :: !PIN(reader, segment) -> break
#ifndef PINS_FOR_EVER
     :: PIN(reader, segment) && dead[reader] -> PIN(reader, segment) = false
#endif
     od;
     reader++
  :: else -> break
  od
}

active proctype writer() {
  byte version = 0, from, to, reader;
  do
  :: version < VERSIONS ->
     version++;
     from = slot;
     to = 1 - from;
     first[to] = version;
     last[to] = version;
     atomic { slot = to; now = version }
#ifdef PINS_FIRST
     wait_for_pins(from);
     generation[from]++
#else
#ifndef NO_GENERATION
     generation[from]++;
#endif
     wait_for_pins(from)
#endif
  :: else -> break
  od
}

proctype reads(byte me; bool by_pin) {
  byte at, seen, one, two, least;
again:
  atomic { least = now; at = slot }
  seen = generation[at];
#ifndef NO_SECOND_LOOK
  if
  :: slot != at -> goto again
  :: else
  fi;
#endif
  if
  :: by_pin ->
#ifdef LATE_PIN
     if
     :: generation[at] != seen -> goto again
     :: else
     fi;
     PIN(me, at) = true;
#else
     PIN(me, at) = true;
     if
     :: generation[at] != seen -> PIN(me, at) = false; goto again
     :: else
     fi;
#endif
     if
     :: dead[me] = true; goto end
     :: true
     fi;
     one = first[at];
     two = last[at];
     assert(one == two && one >= least);
     assert(first[at] == one && last[at] == one);
     PIN(me, at) = false
  :: else ->
     one = first[at];
     two = last[at];
#ifndef NO_LAST_LOOK
     if
     :: generation[at] != seen -> goto again
     :: else
     fi;
#endif
     assert(one == two && one >= least)
  fi;
end:
  skip
}

init {
  atomic { run reads(0, true); run reads(1, false) }
}
