# SPDX-License-Identifier: Apache-2.0
"""What is done to voters and candidates in one round. All that is random is drawn before anything is done, so that a
seed decides it; who leads at that moment does not depend on the seed alone.
"""
import random
import signal

import torture
import voters

WAYS = ("both", "both", "pull", "out", "in")
KILLED = (("supervisor",), ("supervisor",), ("supervisor",), ("warden",), ("init",), ("program",),
          ("supervisor", "warden"), ("supervisor", "program"), ("warden", "init"), ("supervisor", "warden", "init"),
          torture.ROLES)
STOPPED = (("supervisor",), ("supervisor",), ("warden",), ("supervisor", "warden"), ("supervisor", "warden"), ("tree",),
           ("tree",), ("program",), ("init",))
LEADER_SHARE = 0.9
SECOND_SHARE = 0.4
UNCLEAN_PAIR_SHARE = 0.12  # two voters without memory at once: no new leader can be had in the hold


class Fault:
    """`acts`: [(seconds after the round's faults begin, what to do)]."""

    def __init__(self, kind, text, acts):
        self.kind = kind
        self.text = text
        self.acts = acts


def span(dice):
    """Shorter than a lease; about as long; longer."""
    low, high = dice.choices(((0.1, 0.4), (0.4, 1.2), (1.2, 3.0)), (50, 35, 15))[0]
    return low + (high - low) * dice.random()


def below(pid):
    found = [pid]
    for child in torture.children(pid):
        found += below(child)
    return found


class Target:
    """The leader when it is first asked for, or one of the others."""

    def __init__(self, dice, test):
        self.leads = dice.random() < LEADER_SHARE
        self.other = dice.random()
        self.test = test
        self.found = None

    def name(self):
        if not self.found:
            leader = self.test.latest()[1]
            others = [name for name in self.test.ttls if name != leader]
            self.found = leader if self.leads and leader else others[int(self.other * len(others))]
        self.test.struck.append((voters.boot_s(), self.found))
        return self.found

    def __str__(self):
        return "leader" if self.leads else "another"


# ---- candidates ----

def kill_candidate(dice, test, at_s, _busy):
    target, roles = Target(dice, test), dice.choice(KILLED)

    def act():
        tree = test.tree(target.name())
        for role in roles:
            if role in tree:
                torture.send(tree[role], signal.SIGKILL)

    return Fault("kill " + "+".join(roles if len(roles) < len(torture.ROLES) else ["tree"]),
                 f"kill {'+'.join(roles)} of {target}", [(at_s, act)])


def stop_candidate(dice, test, at_s, _busy):
    """Sometimes another of its processes is killed meanwhile."""
    target, roles, length_s = Target(dice, test), dice.choice(STOPPED), span(dice)
    killed = dice.choice(torture.ROLES) if dice.random() < 0.25 else None
    stopped = []
    began = []

    def stop():
        tree = test.tree(target.name())
        pids = below(tree["supervisor"]) if roles == ("tree",) else [tree[r] for r in roles if r in tree]
        began.append(voters.boot_s())
        stopped.extend(pid for pid in pids if torture.send(pid, signal.SIGSTOP))

    def kill():
        tree = test.tree(target.name())
        if killed in tree and tree[killed] not in stopped:
            torture.send(tree[killed], signal.SIGKILL)

    def go_on():
        for pid in stopped:
            torture.send(pid, signal.SIGCONT)
        if roles in (("program",), ("init",), ("tree",)):
            test.silent.append((began[0], voters.boot_s()))

    acts = [(at_s, stop), (at_s + length_s, go_on)] + ([(at_s + length_s / 2, kill)] if killed else [])
    return Fault("stop " + "+".join(roles), f"stop {'+'.join(roles)} of {target} for {length_s:.2f} s"
                 + (f", {killed} killed meanwhile" if killed else ""), acts)


def terminate(dice, test, at_s, _busy):
    target = Target(dice, test)
    return Fault("terminate", f"SIGTERM to {target}",
                 [(at_s, lambda: torture.send(test.candidates[target.name()].pid, signal.SIGTERM))])


def resign(_dice, test, at_s, _busy):
    return Fault("resign", "resign", [(at_s, lambda: test.command("resign", "torture"))])


def transfer(dice, test, at_s, _busy):
    target = Target(dice, test)
    target.leads = False
    return Fault("transfer", "transfer", [(at_s, lambda: test.command("transfer", "torture", "--to", target.name()))])



def cut_candidate(dice, test, at_s, _busy):
    """From all voters, or from one or two of them."""
    target, way, length_s = Target(dice, test), dice.choice(WAYS), span(dice)
    some = dice.sample(voters.NAMES, dice.choice((1, 2))) if way != "pull" and dice.random() < 0.35 else []
    mend = []

    def cut():
        commands, back = test.network.cut(target.name(), way, some)
        test.network.batch(commands)
        mend.extend(back)

    kind = f"cut candidate {'one way' if way in ('in', 'out') else 'both ways'}"
    return Fault(kind, f"cut {target}, {way}, from {some or 'all'} for {length_s:.2f} s",
                 [(at_s, cut), (at_s + length_s, lambda: test.network.batch(mend))])


# ---- voters ----

def pick_voter(dice, busy):
    """Not one that another fault of the round is at."""
    name = dice.choice([name for name in voters.NAMES if name not in busy])
    busy.add(name)
    return name


def kill_voter(dice, test, at_s, busy):
    """Not within the hold of another one, but for a few times: it is stopped cleanly then."""
    name, down_s, anyhow = pick_voter(dice, busy), dice.random() * 0.5, dice.random() < UNCLEAN_PAIR_SHARE
    fault = Fault("kill voter", f"kill {name} for {down_s:.2f} s" + (", come what may" if anyhow else ""), [])

    def kill():
        if anyhow or not test.voters.crashed_lately(name):
            test.voters[name].kill()
        else:
            fault.kind = "restart voter"
            test.voters[name].stop()

    def restart():
        if fault.kind == "kill voter":
            test.voters[name].restart_unclean()
        else:
            test.voters[name].restart_clean()

    fault.acts = [(at_s, kill), (at_s + down_s, restart)]
    return fault


def restart_voter(dice, test, at_s, busy):
    name, down_s = pick_voter(dice, busy), dice.random() * 0.3
    return Fault("restart voter", f"clean restart of {name} after {down_s:.2f} s",
                 [(at_s, lambda: test.voters[name].stop()), (at_s + down_s, lambda: test.voters[name].restart_clean())])


def stop_voter(dice, test, at_s, busy):
    name, length_s = pick_voter(dice, busy), span(dice)
    return Fault("stop voter", f"stop {name} for {length_s:.2f} s",
                 [(at_s, lambda: test.voters[name].freeze(True)),
                  (at_s + length_s, lambda: test.voters[name].freeze(False))])


def stop_two_voters(dice, test, at_s, busy):
    if len(busy) > 1:
        return stop_voter(dice, test, at_s, busy)
    names, length_s = [pick_voter(dice, busy), pick_voter(dice, busy)], span(dice)

    def freeze(frozen):
        for name in names:
            test.voters[name].freeze(frozen)

    return Fault("stop two voters", f"stop {' and '.join(names)} for {length_s:.2f} s",
                 [(at_s, lambda: freeze(True)), (at_s + length_s, lambda: freeze(False))])


def cut_voter(dice, test, at_s, busy):
    name, way, length_s = pick_voter(dice, busy), dice.choice(WAYS), span(dice)
    commands, mend = test.network.cut(name, way, [])

    def cut():
        test.voters[name].leave()
        test.network.batch(commands)

    def heal():
        test.network.batch(mend)
        test.voters[name].come_back()

    return Fault(f"cut voter {'one way' if way in ('in', 'out') else 'both ways'}", f"cut {name}, {way}, for "
                 f"{length_s:.2f} s", [(at_s, cut), (at_s + length_s, heal)])


ALL = ((kill_candidate, 30), (stop_candidate, 18), (cut_candidate, 16), (terminate, 4), (resign, 4), (transfer, 5),
       (kill_voter, 9), (restart_voter, 6), (stop_voter, 6), (stop_two_voters, 3), (cut_voter, 8))


def cut_leader_off(dice, test):
    """For --break: what a program that nobody ends can't survive unnoticed."""
    target, length_s = Target(dice, test), 1.5 + dice.random()
    target.leads = True
    commands = []

    def cut():
        there, back = test.network.cut(target.name(), "both", [])
        commands.extend(back)
        test.network.batch(there)

    return Fault("cut candidate both ways", f"cut leader for {length_s:.2f} s",
                 [(0, cut), (length_s, lambda: test.network.batch(commands))])


def choose(dice, test):
    if test.args.broken:
        return [cut_leader_off(dice, test)]
    makers = random.Random(dice.random()).choices([m for m, _ in ALL], [w for _, w in ALL],
                                                  k=2 if dice.random() < SECOND_SHARE else 1)
    busy = set()
    return [make(dice, test, i * 0.3 * dice.random(), busy) for i, make in enumerate(makers)]
