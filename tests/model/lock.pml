/* The lock of a shard, its take-over from a dead holder, and the redo note: src/engine/shard_lock.cc, membership.cc,
 * write.cc. Processes add one to two accounts that must always agree, and die at any step; so do those who repair.
 *
 * Checked: nobody works in the shard beside a living other; whoever enters finds both accounts alike; what was answered
 * is there; a change that nobody began is not; and no state is reached in which all wait for ever.
 *
 * Each access to shared memory is one step, in one order for all. What x86 and the C++ memory model add is not here.
 *
 * With one of these defined the check must fail: SAME_WORD (the lock word does not name the life of its owner),
 * NO_REPAIR (who takes over does not carry out the note), EARLY_VALID (the note is called valid before it is whole),
 * EARLY_DONE (the note goes before its values are in place), ADDS (the note says how much to add instead of what will
 * be), ALIVE_WHEN_HELD (that a slot is taken is enough to call the word's owner living).
 */
#define SLOTS 2
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef CALLS
#define CALLS 3
#endif

byte lock = 0;                /* 0: free; else the owner's word */
byte incarnation[SLOTS];      /* which life of the slot */
bool held[SLOTS];             /* the kernel's lock on the slot's byte */
byte one = 0, two = 0;        /* the accounts */
bool valid = false;           /* the note */
byte note_one = 0, note_two = 0;

/* Not of the engine: what has happened. */
byte inside = 0;              /* living processes between lock and unlock */
byte begun = 0, answered = 0; /* changes */
byte deaths = 0, calls = 0;

#ifdef SAME_WORD
#define WORD(slot, life) ((slot) + 1)
#else
#define WORD(slot, life) ((life) * SLOTS + (slot) + 1)
#endif
#define SLOT_OF(word) (((word) - 1) % SLOTS)

/* Between any two steps a process may die. */
#define OR_DIE :: deaths < DEATHS -> deaths++; goto dead
#define STEP(what) if :: what OR_DIE fi

proctype process(byte slot) {
  byte mine, seen, value;
  bool in = false, repairs;

  /* Membership::join: the kernel's lock first, then the new life begins. */
  atomic { !held[slot] -> held[slot] = true }
  STEP(incarnation[slot] = incarnation[slot] + 1);
  mine = WORD(slot, incarnation[slot]);

again:
  if
  :: atomic { calls < CALLS -> calls++ }
  :: calls >= CALLS -> goto leave
  fi;

take:
  /* ShardLock::lock */
  STEP(seen = lock);
  repairs = false;
  if
  :: seen == 0
  :: seen != 0 ->
     /* Membership::alive: two looks, not at once. */
#if !defined(SAME_WORD) && !defined(ALIVE_WHEN_HELD)
     if
     :: WORD(SLOT_OF(seen), incarnation[SLOT_OF(seen)]) != seen -> goto owner_is_dead
     :: else
     fi;
#endif
     if
     :: held[SLOT_OF(seen)] ->
        /* Waits; nothing else can happen to it here than that the word, or its owner's life, changes. */
#ifdef ALIVE_WHEN_HELD
        (lock != seen || !held[SLOT_OF(seen)]);
#else
        (lock != seen || !held[SLOT_OF(seen)] || WORD(SLOT_OF(seen), incarnation[SLOT_OF(seen)]) != seen);
#endif
        goto take
     :: !held[SLOT_OF(seen)]
     fi;
owner_is_dead:
     repairs = true
  fi;
  if
  :: atomic { lock == seen ->
       assert(inside == 0);
       lock = mine; inside++; in = true }
  :: lock != seen -> goto take
  OR_DIE
  fi;

  /* Shard::repair */
#ifndef NO_REPAIR
  if
  :: repairs && valid ->
#ifdef ADDS
     STEP(one = one + note_one);
     STEP(two = two + note_two);
#else
     STEP(one = note_one);
     STEP(two = note_two);
#endif
     STEP(valid = false)
  :: else
  fi;
#endif
  assert(one == two && !valid);
  assert(one >= answered && one <= begun);

  /* Shard::commit */
  begun++;
  value = one + 1;
#ifdef ADDS
  value = 1;
#endif
#ifdef EARLY_VALID
  STEP(valid = true);
#endif
  STEP(note_one = value);
  STEP(note_two = value);
#ifndef EARLY_VALID
  STEP(valid = true);
#endif
#ifdef EARLY_DONE
  STEP(valid = false);
#endif
#ifdef ADDS
  STEP(one = one + value);
  STEP(two = two + value);
#else
  STEP(one = value);
  STEP(two = value);
#endif
#ifndef EARLY_DONE
  STEP(valid = false);
#endif

  /* ShardLock::unlock */
  if
  :: atomic { true -> assert(lock == mine); lock = 0; inside--; in = false }
  OR_DIE
  fi;
  answered++;
  goto again;

dead:
  /* The kernel drops what the dead held; another process may take the place. */
  atomic {
    if :: in -> inside--; in = false :: else fi;
    held[slot] = false;
    run process(slot)
  }
  goto end;
leave:
  held[slot] = false;
end:
  skip
}

init {
  atomic {
    byte slot = 0;
    do
    :: slot < SLOTS -> run process(slot); slot++
    :: else -> break
    od
  }
}
