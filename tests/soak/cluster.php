<?php
// The part 'cluster' of scripts/soak: jobs are pushed and processed while the nodes of a RabbitMQ cluster are broken in turn.
// It uses the functions of soak.php.

declare(strict_types=1);

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TaskLostException;

/** Queues of the run; each is pushed to and consumed by all processes. */
const CLUSTER_QUEUES = 3;

/** @param list<string> $arguments of scripts/cluster @return list<string> what it said */
function onCluster(string ...$arguments): array
{
    $command = implode(' ', array_map('escapeshellarg', [dirname(__DIR__, 2) . '/scripts/cluster', ...$arguments]));
    exec("$command 2>&1 < /dev/null", $lines, $code);
    if ($code !== 0) {
        throw new RuntimeException("$command ended with $code:\n" . implode("\n", $lines));
    }

    return $lines;
}

/** What breaks one node, and mends it: each with how long it lasts. @return array<string, callable(string): void> */
function faults(): array
{
    $for = static function (string $break, string $mend, int $seconds): callable {
        return static function (string $node) use ($break, $mend, $seconds): void {
            onCluster($break, $node);
            sleep($seconds);
            $mend === 'heal' ? onCluster('heal') : onCluster($mend, $node);
        };
    };

    return [
        'killed' => $for('kill', 'start', 3),
        'stopped' => $for('stop', 'start', 3),
        // Longer than the other nodes wait (10 s), and than clients with a heartbeat of 4 wait.
        'frozen' => $for('freeze', 'thaw', 15),
        'cut off from the others' => $for('cut', 'heal', 25),
        'unplugged' => $for('unplug', 'heal', 15),
        // A hiccup that ends before anyone notices.
        'frozen for 2 s' => $for('freeze', 'thaw', 2),
        'cut off for 2 s' => $for('cut', 'heal', 2),
    ];
}

/** Moves the leaders of the run's queues to a node, so that it is the leader who breaks. @return int how many are there then */
function lead(string $name, string $node): int
{
    for ($try = 0, $there = 0; $try < 20 && $there < CLUSTER_QUEUES; ++$try) {
        // It may take a moment if a replica has not caught up.
        onCluster('ctl', $node, '--silent', 'eval',
            "[catch rabbit_quorum_queue:transfer_leadership(Q, 'amqp1-$node@node$node') || Q <- rabbit_amqqueue:list()].");
        $leaders = onCluster('ctl', $node, '--silent', 'list_queues', 'name', 'leader');
        $there = count(preg_grep("/^$name-\\d+\\s+amqp1-$node@/", $leaders));
        usleep(300000);
    }

    return $there;
}

/** Waits until the cluster can lose another node: no queue has just a bare majority. */
function awaitQuorum(): void
{
    $deadline = microtime(true) + 120;
    foreach (['1', '2', '3'] as $node) {
        for (;;) {
            try {
                onCluster('queues', $node, 'check_if_node_is_quorum_critical');
                break;
            } catch (RuntimeException $e) {
                if (microtime(true) > $deadline) {
                    throw $e;
                }
                sleep(1);
            }
        }
    }
}

/** @return list<AmqpQueue> */
function clusterQueues(string $name): array
{
    $options = ['timeout' => number('AMQP1_SOAK_TIMEOUT', 60), 'heartbeat' => 4, 'redial_timeout' => 60];

    return array_map(static fn ($i) => new AmqpQueue((string) getenv('AMQP1_SOAK_CLUSTER'), "$name-$i", $options), range(1, CLUSTER_QUEUES));
}

/** Measures a call and keeps the longest. */
final class Longest
{
    /** @var array<string, array{float, float}> call => [seconds, when] */
    private array $calls = [];

    public function of(string $call, callable $do, float $expected = 0): mixed
    {
        $began = microtime(true);
        try {
            return $do();
        } finally {
            $took = microtime(true) - $began - $expected;
            if ($took > ($this->calls[$call][0] ?? -1.0)) {
                $this->calls[$call] = [$took, $began];
            }
        }
    }

    /** @param resource $out */
    public function write($out): void
    {
        foreach ($this->calls as $call => [$took, $when]) {
            fwrite($out, sprintf("longest %s %.3f@%.0f\n", $call, $took, $when));
        }
    }
}

/** One producer: single jobs and batches in turn, until $until. @param resource $out */
function produce(string $name, int $me, float $until, $out): void
{
    $queues = clusterQueues($name);
    $longest = new Longest();
    $report = static function (string $id, Throwable $e) use ($out): void {
        fwrite($out, "reported $id " . get_class($e) . ': ' . strtr($e->getMessage(), "\n", ' ') . "\n");
    };
    for ($n = 0; microtime(true) < $until; ++$n) {
        $queue = $queues[$n % CLUSTER_QUEUES];
        try {
            $id = $longest->of('push', static fn () => $queue->push('job', str_repeat('x', 256), ['id' => "$me-$n"]));
            fwrite($out, "confirmed $id\n");
        } catch (ExceptionInterface $e) {
            $report("$me-$n", $e);
        }
        if ($n % 10 === 0) {
            $ids = array_map(static fn ($i) => "$me-$n-$i", range(0, 49));
            $jobs = array_map(static fn ($id) => ['name' => 'job', 'payload' => 'batch', 'options' => ['id' => $id]], $ids);
            $failed = [];
            try {
                $confirmed = $longest->of('pushMany', static fn () => $queue->pushMany($jobs));
            } catch (BatchException $e) {
                [$confirmed, $failed] = [$e->getConfirmedIds(), $e->getFailures()];
            } catch (ExceptionInterface $e) {
                [$confirmed, $failed] = [[], array_fill_keys(array_keys($ids), $e)];
            }
            foreach ($confirmed as $id) {
                fwrite($out, "confirmed $id\n");
            }
            foreach ($failed as $index => $e) {
                $report($ids[$index], $e);
            }
        }
        usleep(5000);
    }
    $longest->write($out);
}

/**
 * Messages in the queues. count() sees only those that are ready: a job that the broker has given to a connection of a frozen
 * node, and has not taken back yet, is none of them.
 */
function messages(string $name): int
{
    $rows = onCluster('ctl', '1', '--silent', 'list_queues', 'name', 'messages');

    return array_sum(array_map(static fn ($row) => (int) explode("\t", $row)[1], preg_grep("/^$name-\\d+\t/", $rows)));
}

/** Waits until the queues are empty, at most two minutes; then the consumers end. */
function drain(string $name, string $working): void
{
    try {
        for ($deadline = microtime(true) + 120; messages($name) > 0 && microtime(true) < $deadline;) {
            sleep(1);
        }
    } finally {
        unlink($working);
    }
}

/** One consumer of all queues, until the file is gone. @param resource $out */
function work(string $name, string $working, float $atMost, $out): void
{
    $queues = clusterQueues($name);
    $consumer = new Consumer($queues, ['prefetch' => 20]);
    $longest = new Longest();
    while (is_file($working) && microtime(true) < $atMost) {
        clearstatcache();
        try {
            $task = $longest->of('waitTask', static fn () => $consumer->waitTask(1), 1);
        } catch (ExceptionInterface $e) {
            fwrite($out, 'error - ' . get_class($e) . ': ' . strtr($e->getMessage(), "\n", ' ') . "\n");
            usleep(100000);
            continue;
        }
        if ($task === null) {
            continue;
        }
        fwrite($out, "done {$task->getId()} {$task->getAttempts()}\n"); // first the work, then the acknowledgement
        try {
            $longest->of('ack', static fn () => $task->ack());
        } catch (TaskLostException) {
            fwrite($out, "lost-ack {$task->getId()}\n");
        } catch (ExceptionInterface $e) {
            fwrite($out, 'error - ' . get_class($e) . ': ' . strtr($e->getMessage(), "\n", ' ') . "\n");
        }
    }
    $longest->of('close', static fn () => $consumer->close());
    $longest->write($out);
}

/** How many connections each node has. */
function spread(): string
{
    $counts = [];
    foreach (['1', '2', '3'] as $node) {
        $at = onCluster('ctl', $node, '--silent', 'eval', 'length(rabbit_networking:local_connections()).');
        $counts[] = "node $node: " . trim(implode('', $at));
    }

    return implode(', ', $counts);
}

/** Three producers and four consumers while the nodes are broken in turn. */
function cluster(string $name): bool
{
    $seconds = number('AMQP1_SOAK_SECONDS', 300);
    foreach (clusterQueues($name) as $queue) {
        $queue->setup();
    }
    $began = microtime(true);
    $until = $began + $seconds;
    [$producers, $produced] = children(3, static fn (int $me, $out) => produce($name, $me, $until, $out));
    $working = tempnam(sys_get_temp_dir(), 'amqp1-soak-');
    [$consumers, $consumed] = children(4, static fn (int $me, $out) => work($name, $working, $until + 300, $out));
    sleep(3);
    echo '  connections: ', spread(), "\n";
    $broken = 0;
    for ($round = 0; microtime(true) < $until; ++$round) {
        foreach (faults() as $fault => $break) {
            if (microtime(true) > $until) {
                break;
            }
            $node = (string) (($broken++ + $round) % 3 + 1);
            $moved = lead($name, $node);
            $at = microtime(true);
            $break($node);
            printf("  %4.0f s: leaders of %d queues moved to node %s; %s, whole again after %.1f s\n", $at - $began, $moved, $node, $fault, microtime(true) - $at);
            awaitQuorum();
            sleep(2);
        }
        onCluster('queues', '1', 'rebalance', 'quorum');
    }
    echo '  connections: ', spread(), "\n";
    $ended = await($producers, 150);
    drain($name, $working);
    $ended = await($consumers, 60) && $ended;

    return clusterResult($name, $produced, $consumed, $began, $broken) && $ended;
}

/** @param list<string> $produced @param list<string> $consumed files */
function clusterResult(string $name, array $produced, array $consumed, float $began, int $broken): bool
{
    $took = microtime(true) - $began;
    $confirmed = $reported = $done = $reasons = $longest = [];
    $lostAcks = 0;
    foreach (lines([...$produced, ...$consumed]) as $words) {
        switch ($words[0]) {
            case 'confirmed':
                $confirmed[$words[1]] = true;
                break;
            case 'done':
                $done[$words[1]] = ($done[$words[1]] ?? 0) + 1;
                break;
            case 'lost-ack':
                ++$lostAcks;
                break;
            case 'longest':
                [$seconds, $at] = array_map('floatval', explode('@', $words[2]));
                if ($seconds >= ($longest[$words[1]][0] ?? 0.0)) {
                    $longest[$words[1]] = [$seconds, $at - $began];
                }
                break;
            default: // reported, error
                if ($words[0] === 'reported') {
                    $reported[$words[1]] = true;
                }
                $reason = "$words[0]: " . preg_replace('/\d+/', '…', $words[2]);
                $reasons[$reason] = ($reasons[$reason] ?? 0) + 1;
        }
    }
    $lost = array_diff(array_keys($confirmed), array_keys($done));
    $again = count(array_filter($done, static fn ($times) => $times > 1));
    $left = messages($name);
    foreach ($reasons as $reason => $count) {
        echo "  $count × $reason\n";
    }
    printf("  in %.0f s nodes were broken %d times: confirmed %d, done %d different jobs, done more than once %d, ack() said lost %d, left in the queues %d\n",
        $took, $broken, count($confirmed), count($done), $again, $lostAcks, $left);
    printf("  of %d reported jobs, %d had arrived all the same\n", count($reported), count(array_intersect_key($reported, $done)));
    foreach ($longest as $call => [$seconds, $at]) {
        printf("  longest %s(): %.2f s%s, begun %.0f s after the beginning\n", $call, $seconds, $call === 'waitTask' ? ' beyond its timeout' : '', $at);
    }
    printf("  confirmed %d, lost %d\n", count($confirmed), count($lost));
    foreach (array_slice($lost, 0, 10) as $id) {
        echo "  lost: $id\n";
    }
    if ($lost === []) {
        foreach (range(1, CLUSTER_QUEUES) as $i) {
            onCluster('ctl', '1', '--quiet', 'delete_queue', "$name-$i");
        }
    }

    return $lost === [] && $left === 0 && $confirmed !== [];
}
