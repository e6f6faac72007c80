"""Site: brings all programs of a plan up, changes what has changed, and takes them down."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from channels_classic.exceptions import UpError
from channels_classic.stopping import on_stop
from channels_classic.up import supervisor as configuration
from channels_classic.up.control import Supervisor
from channels_classic.up.plan import REDIS_ENDS, SERVER_ENDS, WORKER_ENDS, Plan, Program
from channels_classic.up.probe import Probe
from channels_classic.up.ready import Logs, Watch
from channels_classic.up.state import Relative, State

#: Prints a line; with ``nl=False`` the next one goes on behind it.
Say = Callable[..., None]
#: Seconds between two looks whether something has ended, and whether supervisord has.
_POLL, _LOOK = 0.05, 0.5
#: Seconds that programs which have nothing in hand yet have to end. supervisord's first SIGTERM is
#: lost on a process that it has forked and not yet made the program.
_INSIST = 5.0
#: Seconds that supervisord has for itself, beyond what its programs may take to end.
_SLACK = 30.0
#: After so many seconds, this is to be done.
_Step = tuple[float, Callable[[], object]]


class Site:
    """The site of ``plan``, whose settings ``probe`` has looked at.

    All verbs print what they do, and raise ``UpError``. ``timeout`` is how long one program may
    take to be ready, in seconds.
    """

    def __init__(self, plan: Plan, state: State, probe: Probe, *, say: Say, timeout: float) -> None:
        self.plan = plan
        self.state = state
        self.supervisor = Supervisor(state)
        self._say = say
        self._logs = Logs(state)
        self._watch = Watch(
            plan,
            self.supervisor,
            self._logs,
            ready_path=probe.findings.ready_path,
            announced=probe.announced,
            timeout=timeout,
        )
        self._announced = probe.announced
        self._ready_path = probe.findings.ready_path

    # Up -----------------------------------------------------------------------------------

    def start(self, *, foreground: bool = False) -> subprocess.Popen[str]:
        """Start all of it, and wait until it is ready; nothing is left when that fails.

        What comes back is supervisord's process, in the ``foreground``, or what has started it.
        """
        programs = self.plan.programs()
        self._write()
        self._logs.mark([name for each in programs for name in each.processes])
        try:
            popen = self.supervisor.launch(foreground=foreground)
            self._await(programs)
            return popen
        except BaseException:
            self._say("Stopping what has been started.")
            stop(self.state, self._say, insist_after=_INSIST)
            raise

    def must_start_anew(self) -> bool:
        """Whether what all programs share has changed, which supervisord reads at its start."""
        before = self.state.noted()
        return before is None or before.plan.environment != self.plan.environment

    def change(self) -> bool:
        """Have what runs already become what the plan says; whether there was anything to do."""
        if self.state.config.read_text(encoding="utf-8") == configuration.render(self.plan):
            return self._start_what_has_stopped()
        self._write()
        programs = {each.name: each for each in self.plan.programs()}
        self._logs.mark([name for each in programs.values() for name in each.processes])
        added, changed, removed = self.supervisor.update()
        for names, verb in ((removed, "stopped"), (changed, "changed"), (added, "new")):
            for name in names:
                self._say(f"{name}: {verb}")
        self._await([each for each in programs.values() if each.name in (*added, *changed)])
        return True

    def _start_what_has_stopped(self) -> bool:
        away = [each for each in self.supervisor.processes() if not each.pid]
        self._logs.mark([each.name for each in away])
        for each in away:
            self.supervisor.start(each.full_name)
        self._await([p for p in self.plan.programs() if p.name in {each.group for each in away}])
        return bool(away)

    def _write(self) -> None:
        self.state.config.write_text(configuration.render(self.plan), encoding="utf-8")
        self.state.note(self.plan, self._ready_path)

    def _await(self, programs: Sequence[Program]) -> None:
        self._watch.begin([name for each in programs for name in each.processes])
        for each in programs:
            self._say(f"{_title(each)}: starting… ", nl=False)
            self._say_result(partial(self._watch.wait, each))

    # Restarts -----------------------------------------------------------------------------

    def restart(self, program: Program) -> None:
        """Restart its processes one after the other, each when the one before is ready."""
        for name in program.processes:
            full_name = f"{program.name}:{name}"
            self._say(f"{name}: finishing… ", nl=False)
            self._logs.mark([name])
            self.supervisor.stop(full_name)
            self._say("starting… ", nl=False)
            self.supervisor.start(full_name)
            self._watch.begin([name])
            try:
                self._say_result(partial(self._watch.wait, program, [name]))
            except UpError as error:
                raise UpError(f"{error}\nThe others were not restarted, and go on.") from error

    def reload(self, program: Program) -> None:
        """Have it replace its own processes, and wait until it has."""
        self._say(f"{_title(program)}: replacing its processes… ", nl=False)
        self._logs.mark(program.processes)
        before = self._announced()
        self.supervisor.signal(program.name, "HUP")
        self._say_result(lambda: self._watch.wait_for_others(program, before))

    def _say_result(self, wait: Callable[[], float]) -> None:
        try:
            took = wait()
        except UpError:
            self._say("failed")
            raise
        self._say(f"ready ({took:.1f} s)")


def hold(popen: subprocess.Popen[str], state: State, say: Say) -> None:
    """Until SIGTERM or Ctrl-C, then end all; ``UpError`` when supervisord ends by itself."""
    asked = threading.Event()
    with on_stop(asked.set):
        while not asked.wait(_LOOK):
            if popen.poll() is not None:
                stop(state, say)
                raise UpError(f"supervisord has ended: see {state.supervisord_log}")
        stop(state, say)
    popen.wait()


# Down ---------------------------------------------------------------------------------------


def stop(
    state: State, say: Say, *, insist_after: float | None = None, patience: float | None = None
) -> bool:
    """End all that runs, in order, supervisord last; whether there was anything.

    Who is still there after ``insist_after`` seconds is told a second time, and ends at once.
    supervisord is killed after ``patience`` seconds: by default, what its programs may take in all.
    """
    supervisor = Supervisor(state)
    was_there = state.runs or supervisor.answers
    there = _see_who_ended(state, set(), say)
    _ask_to_end(state, supervisor)
    began = time.monotonic()
    steps: list[_Step] = [(patience or _may_take(state), partial(_kill_supervisord, state, say))]
    if insist_after is not None:
        steps.insert(0, (insist_after, state.terminate))
    while state.supervisord() or supervisor.answers:  # it kills whoever takes too long
        time.sleep(_POLL)
        there = _see_who_ended(state, there, say)
        while steps and time.monotonic() - began > steps[0][0]:
            steps.pop(0)[1]()
    _see_who_ended(state, there, say)
    state.end_relatives(SERVER_ENDS, on_kill=lambda each: say(_killed(each)))
    return was_there


def _ask_to_end(state: State, supervisor: Supervisor) -> None:
    try:
        supervisor.shutdown()
    except UpError:  # somebody has removed its socket, or stopped it, or it hangs or is not there
        state.signal_supervisord(signal.SIGTERM, signal.SIGCONT)


def _may_take(state: State) -> float:
    """Seconds until supervisord has ended one kind of programs after the other."""
    noted = state.noted()
    usual = WORKER_ENDS + SERVER_ENDS + REDIS_ENDS
    return _SLACK + (sum(each.ends_within for each in noted.plan.programs()) if noted else usual)


def _kill_supervisord(state: State, say: Say) -> None:
    if pid := state.signal_supervisord(signal.SIGKILL):
        say(_killed(Relative(pid, "supervisord")))


def _see_who_ended(state: State, there: set[str], say: Say) -> set[str]:
    now = {each.name for each in state.relatives()}
    for name in sorted(there - now):
        say(f"{name}: stopped")
    return now


def _killed(relative: Relative) -> str:
    return f"{relative.name} (process {relative.pid}) did not end in time: killed"


def _title(program: Program) -> str:
    return program.name if program.copies is None else f"{program.name} ×{program.copies}"
