# chanrt-gdb.py - tasks in gdb, in a live process or a core.
#
#     (gdb) source chanrt-gdb.py
#     (gdb) info tasks                 every task: id, name, state, where it waits and was spawned
#     (gdb) task 7 bt                  any command with the stack of task 7
#     (gdb) task apply all bt 5        the same for every task
#
# The program needs its debug information (-g), and the assembly switch (not CHANRT_UCONTEXT). The
# stack of a task that waits is shown below frame #0, which stays the thread's own: an unwinder says
# that the caller of frame #0 is where the task stopped, so a core will do, where no register can
# be set. A task that runs is the stack of its worker's thread.

import gdb
import gdb.unwinder

REGISTERS = {"i386:x86-64": ("rsp", "rbp", "rip"), "aarch64": ("sp", "x29", "pc")}


class Task:
    """One record in use."""

    def __init__(self, record):
        self.record = record
        self.id = int(record["a_id"])
        self.name = record["a_name"].string()
        self.reason = int(record["a_reason"])
        self.site = record["a_site"].dereference()

    def spawned(self):
        return "%s:%d" % (self.site["file"].string(), int(self.site["line"]))

    def started(self):
        return int(self.record["stack"]) != 0

    def state(self, running):
        if self.record.address in running:
            return "running on worker %d" % running[self.record.address]
        if self.reason == 0:
            return "runnable"
        reason = gdb.parse_and_eval("chanrt__task_reasons")[self.reason].string()
        target = int(self.record["u"]["run"]["a_object"])
        return reason + (" 0x%x" % target if target else "")


def fetch(name):
    try:
        return gdb.parse_and_eval(name)
    except gdb.error:
        raise gdb.GdbError("no symbol %s: is this a program with chanrt.h, compiled with -g?" % name)


def tasks():
    prepared = int(fetch("(int)CHANRT__PREPARED"))
    slab = fetch("chanrt__slabs")["first"]
    found = []
    while int(slab) != 0:
        for i in range(int(slab["count"])):
            record = slab["tasks"][i]
            if int(record["a_id"]) != 0 and int(record["a_reason"]) != prepared:
                found.append(Task(record))
        slab = slab["next"]
    return sorted(found, key=lambda t: t.id)


def running():
    pool = fetch("chanrt__pool")
    on = {}
    for i in range(int(pool["count"])):
        current = pool["workers"][i]["a_current"]
        if int(current) != 0:
            on[current.dereference().address] = i
    return on


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class Below(gdb.unwinder.Unwinder):
    """While a task is shown: what frame #0 of the thread returns to is where the task stopped."""

    def __init__(self):
        super().__init__("chanrt task")
        self.ctx = None
        self.sp = None

    def __call__(self, frame):
        if self.ctx is None:
            return None
        sp, fp, pc = REGISTERS[gdb.selected_inferior().architecture().name()]
        if int(frame.read_register(sp)) != self.sp:
            return None
        info = frame.create_unwind_info(FrameId(frame.read_register(sp), frame.read_register(pc)))
        like = frame.read_register(sp)
        for register, field in ((sp, "sp"), (fp, "fp"), (pc, "pc")):
            info.add_saved_register(register, self.ctx[field].cast(like.type))
        return info


below = Below()
gdb.unwinder.register_unwinder(None, below, replace=True)


def show(task, command):
    """Runs the command with the task's stack, whose first frame is selected."""
    print('task %d "%s" [%s] spawned at %s' % (task.id, task.name, task.state(running()),
                                               task.spawned()))
    if not task.started():
        print("it has not started yet")
        return
    worker = running().get(task.record.address)
    if worker is not None:
        print("it runs: see the thread named chanrt-%d" % worker)
        return
    sp = REGISTERS[gdb.selected_inferior().architecture().name()][0]
    gdb.newest_frame().select()
    below.sp = int(gdb.newest_frame().read_register(sp))
    below.ctx = task.record["ctx"]
    gdb.invalidate_cached_frames()
    try:
        older = gdb.newest_frame().older()
        if older is None:
            raise gdb.GdbError("the stack of the task cannot be read")
        older.select()
        gdb.execute(command)
    finally:
        below.ctx = None
        gdb.invalidate_cached_frames()


class InfoTasks(gdb.Command):
    """Lists the tasks of a program that uses chanrt.h."""

    def __init__(self):
        super().__init__("info tasks", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        on = running()
        for t in tasks():
            print('%6d  %-16s %-40s spawned at %s' % (t.id, t.name, t.state(on), t.spawned()))


class TaskCommand(gdb.Command):
    """task N COMMAND, task apply all COMMAND: a command with the stack of a task (bt if none)."""

    def __init__(self):
        super().__init__("task", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split(None, 2)
        if words[:2] == ["apply", "all"]:
            command = words[2] if len(words) > 2 else "bt"
            for t in tasks():
                show(t, command)
                print()
            return
        words = argument.split(None, 1)
        if not words or not words[0].isdigit():
            raise gdb.GdbError("task N COMMAND, or task apply all COMMAND")
        for t in tasks():
            if t.id == int(words[0]):
                show(t, words[1] if len(words) > 1 else "bt")
                return
        raise gdb.GdbError("no task has the id " + words[0])


InfoTasks()
TaskCommand()
