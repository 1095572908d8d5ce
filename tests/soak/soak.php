<?php
// The parts of scripts/soak, which describes and runs them.

declare(strict_types=1);

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TaskLostException;

require __DIR__ . '/cluster.php';

error_reporting(-1);

function number(string $name, int $default): int
{
    return (int) (getenv($name) ?: $default);
}

/** @param list<string> $arguments of scripts/brokers */
function broker(string ...$arguments): void
{
    $command = implode(' ', array_map('escapeshellarg', [dirname(__DIR__, 2) . '/scripts/brokers', ...$arguments]));
    exec("$command 2>&1 < /dev/null", $lines, $code);
    if ($code !== 0) {
        throw new RuntimeException("$command ended with $code:\n" . implode("\n", $lines));
    }
}

function killAndStart(float $down): void
{
    $version = getenv('AMQP1_SOAK_BROKER');
    broker('kill', $version);
    usleep((int) ($down * 1e6));
    broker('start', $version);
}

/**
 * Children that write lines to their own files, which the parent reads afterwards.
 *
 * @param callable(int, resource): void $work
 * @return array{list<int>, list<string>} process ids, files
 */
function children(int $count, callable $work): array
{
    $pids = $files = [];
    for ($i = 0; $i < $count; ++$i) {
        $files[] = $file = tempnam(sys_get_temp_dir(), 'amqp1-soak-');
        $pid = pcntl_fork();
        if ($pid === 0) {
            $out = fopen($file, 'w');
            $work($i, $out);
            fclose($out);
            exit(0);
        }
        $pids[] = $pid;
    }

    return [$pids, $files];
}

/** @param list<int> $pids */
function await(array $pids, float $timeout): bool
{
    $good = true;
    $deadline = microtime(true) + $timeout;
    foreach ($pids as $pid) {
        while (($done = pcntl_waitpid($pid, $status, WNOHANG)) === 0 && microtime(true) < $deadline) {
            usleep(20000);
        }
        if ($done === 0) {
            echo "  process $pid hangs: killed\n";
            posix_kill($pid, SIGKILL);
            pcntl_waitpid($pid, $status);
        }
        $good = $good && $done !== 0 && pcntl_wifexited($status) && pcntl_wexitstatus($status) === 0;
    }

    return $good;
}

/** @param list<string> $files @return iterable<list<string>> the words of each line */
function lines(array $files): iterable
{
    foreach ($files as $file) {
        foreach (new SplFileObject($file) as $line) {
            if (trim((string) $line) !== '') {
                yield explode(' ', trim((string) $line), 3);
            }
        }
        unlink($file);
    }
}

function queue(string $name): AmqpQueue
{
    return new AmqpQueue((string) getenv('AMQP1_SOAK_RABBITMQ'), $name, ['timeout' => number('AMQP1_SOAK_TIMEOUT', 60)]);
}

/** Deletes a queue of this run, if the broker is one of scripts/brokers. */
function forget(string $name): void
{
    if (!getenv('AMQP1_SOAK_DSN')) {
        broker('ctl', (string) getenv('AMQP1_SOAK_BROKER'), '--quiet', 'delete_queue', $name);
    }
}

/** Four processes push jobs with pushMany while RabbitMQ is killed three times. The jobs stay in the queue. */
function publish(string $name): bool
{
    $jobs = number('AMQP1_SOAK_JOBS', 100000);
    [$processes, $batch] = [4, 2500];
    queue($name)->setup();
    $began = microtime(true);
    [$pids, $files] = children($processes, static function (int $me, $out) use ($name, $jobs, $processes, $batch): void {
        $queue = queue($name);
        for ($at = $me * $batch; $at < $jobs; $at += $processes * $batch) {
            $ids = array_map(static fn ($i) => "job-$i", range($at, min($jobs, $at + $batch) - 1));
            $failed = [];
            try {
                $confirmed = $queue->pushMany(array_map(static fn ($id) => ['name' => 'job', 'payload' => str_repeat('x', 256), 'options' => ['id' => $id]], $ids));
            } catch (BatchException $e) {
                [$confirmed, $failed] = [$e->getConfirmedIds(), $e->getFailures()];
            } catch (ExceptionInterface $e) {
                [$confirmed, $failed] = [[], array_fill_keys(array_keys($ids), $e)];
            }
            foreach ($confirmed as $id) {
                fwrite($out, "confirmed $id\n");
            }
            foreach ($failed as $index => $e) {
                fwrite($out, "reported {$ids[$index]} " . get_class($e) . ': ' . strtr($e->getMessage(), "\n", ' ') . "\n");
            }
            usleep(200000); // so that it lasts as long as three restarts
        }
    });
    for ($i = 1; $i <= 3; ++$i) {
        usleep(1000000);
        killAndStart(0.5);
        printf("  killed and started %d, %.1f s after the beginning\n", $i, microtime(true) - $began);
    }
    $ended = await($pids, 600);
    $confirmed = $reported = $reasons = [];
    foreach (lines($files) as $words) {
        if ($words[0] === 'confirmed') {
            $confirmed[$words[1]] = true;
        } else {
            $reported[$words[1]] = true;
            $reason = preg_replace(['/job-\d+/', '/\d+ times/'], ['job-…', '… times'], $words[2]);
            $reasons[$reason] = ($reasons[$reason] ?? 0) + 1;
        }
    }
    $took = microtime(true) - $began;
    foreach ($reasons as $reason => $count) {
        echo "  $count × $reason\n";
    }
    file_put_contents(sys_get_temp_dir() . '/amqp1-soak.json', json_encode([$name, array_keys($confirmed), array_keys($reported)]));
    $silent = $jobs - count($confirmed) - count($reported);
    // A RabbitMQ that has just started reports 0 for a queue whose leader is not elected yet.
    for ($try = 0; ($there = count(queue($name))) < count($confirmed) && $try < 30; ++$try) {
        sleep(1);
    }
    printf("  pushed %d in %.1f s: confirmed %d, reported %d, without an outcome %d; in the queue %d\n", $jobs, $took, count($confirmed), count($reported), $silent, $there);

    return $ended && $silent === 0 && $there >= count($confirmed);
}

/** Nothing waits in the queue, as far as the broker knows. */
function isEmpty(string $name): bool
{
    try {
        return count(queue($name)) === 0;
    } catch (ExceptionInterface) {
        return false;
    }
}

/** Four processes process the jobs of publish(). Every confirmed job must be processed at least once. */
function consume(string $name): bool
{
    $state = sys_get_temp_dir() . '/amqp1-soak.json';
    if (!is_file($state)) {
        throw new RuntimeException('no jobs: scripts/soak publish consume');
    }
    [$name, $confirmed, $reported] = json_decode((string) file_get_contents($state), true);
    $began = microtime(true);
    [$pids, $files] = children(4, static function (int $me, $out) use ($name): void {
        $consumer = new Consumer(queue($name), ['prefetch' => 100]);
        $errors = 0;
        $lastJob = microtime(true);
        // A busy machine needs a long time to start the broker again.
        while (microtime(true) - $lastJob < 90) {
            try {
                $task = $consumer->waitTask(1);
            } catch (ConnectionException $e) {
                fwrite($out, 'error - ' . strtr($e->getMessage(), "\n", ' ') . "\n");
                if (++$errors > 20) {
                    throw $e;
                }
                continue;
            }
            if ($task === null) {
                if (microtime(true) - $lastJob > 5 && isEmpty($name)) {
                    break;
                }
                continue;
            }
            $lastJob = microtime(true);
            usleep(100);
            fwrite($out, "done {$task->getId()} {$task->getAttempts()}\n"); // first the work, then the acknowledgement
            try {
                $task->ack();
            } catch (TaskLostException) {
                fwrite($out, "lost-ack {$task->getId()}\n");
            }
        }
        $consumer->close();
    });
    usleep(1500000);
    killAndStart(0.5);
    printf("  killed and started, %.1f s after the beginning\n", microtime(true) - $began);
    $ended = await($pids, 300);
    $done = [];
    [$lostAcks, $errors, $again] = [0, 0, 0];
    foreach (lines($files) as $words) {
        if ($words[0] === 'done') {
            $done[$words[1]] = ($done[$words[1]] ?? 0) + 1;
            $again += (int) ($words[2] > 1);
        } elseif ($words[0] === 'error') {
            ++$errors;
            echo '  ', $words[2], "\n";
        } else {
            ++$lostAcks;
        }
    }
    $lost = array_values(array_diff($confirmed, array_keys($done)));
    $twice = count(array_filter($done, static fn ($times) => $times > 1));
    $left = count(queue($name));
    printf("  done %d different jobs in %.1f s: redelivered %d, done more than once %d, attempts > 1 in %d deliveries, ack() said lost %d, exceptions %d, left in the queue %d\n",
        count($done), microtime(true) - $began, array_sum($done) - count($done), $twice, $again, $lostAcks, $errors, $left);
    printf("  of the %d reported jobs, %d had arrived all the same\n", count($reported), count(array_intersect($reported, array_keys($done))));
    printf("  confirmed %d, reported %d, redelivered %d, lost %d\n", count($confirmed), count($reported), array_sum($done) - count($done), count($lost));
    foreach (array_slice($lost, 0, 10) as $id) {
        echo "  lost: $id\n";
    }
    unlink($state);
    forget($name);

    return $ended && $lost === [] && $left === 0;
}

/** @return array{int, int, int, int, int} resident kB, of these not of files, PHP's bytes, file descriptors, threads */
function measured(): array
{
    gc_collect_cycles();
    preg_match('/^VmRSS:\s+(\d+) kB.*^RssAnon:\s+(\d+) kB.*^Threads:\s+(\d+)/ms', (string) file_get_contents('/proc/self/status'), $match);

    return [(int) $match[1], (int) $match[2], memory_get_usage(), count(scandir('/proc/self/fd')) - 3, (int) $match[3]];
}

/** One process pushes and consumes jobs, in rounds. */
function flat(string $name): bool
{
    $jobs = number('AMQP1_SOAK_FLAT', 1000000);
    [$round, $warm] = [1000, (int) ($jobs / 10)];
    $queue = new AmqpQueue(getenv('AMQP1_SOAK_DSN') ?: (string) getenv('AMQP1_SOAK_RABBITMQ'), $name, ['timeout' => 60]);
    $consumer = new Consumer($queue, ['prefetch' => 200]);
    $payload = ['n' => 1, 'text' => str_repeat('x', 200)];
    $began = microtime(true);
    $before = null;
    measured(); // loads the measuring code into memory too
    for ($done = 0; $done < $jobs;) {
        $queue->pushMany((static function () use ($round, $payload) {
            for ($i = 0; $i < $round; ++$i) {
                yield ['name' => 'job', 'payload' => $payload, 'options' => ['headers' => ['a' => 'b']]];
            }
        })());
        for ($i = 0; $i < $round; ++$i, ++$done) {
            $task = $consumer->waitTask(30) ?? throw new RuntimeException("no job after $done");
            $task->getPayload();
            $task->ack();
        }
        if ($done % $warm === 0) {
            $now = measured();
            printf("  %7d jobs: %d kB resident (%d without files), %d bytes of PHP, %d file descriptors, %d threads\n", $done, ...$now);
            $before ??= $now;
        }
    }
    $after = measured();
    $grown = array_map(static fn (int $now, int $then) => $now - $then, $after, $before);
    printf("  %d jobs in %.1f s; after the first %d: %+d kB resident (%+d without files), %+d bytes of PHP, %+d file descriptors, %+d threads\n",
        $jobs, microtime(true) - $began, $warm, ...$grown);
    $consumer->close();
    forget($name);

    return $grown[0] <= 1024 && [$grown[3], $grown[4]] === [0, 0];
}

function cpu(): float
{
    $usage = getrusage();

    return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec'] + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
}

/** One process waits for jobs that do not come. */
function idle(string $name): bool
{
    $queue = new AmqpQueue(getenv('AMQP1_SOAK_DSN') ?: (string) getenv('AMQP1_SOAK_RABBITMQ'), $name);
    $consumer = new Consumer($queue);
    $queue->push('one');
    $consumer->waitTask(10)->ack();
    $before = cpu();
    $task = $consumer->waitTask(60);
    $used = cpu() - $before;
    printf("  60 s of waiting cost %.0f ms of CPU (%.3f %%)\n", $used * 1000, $used / 60 * 100);
    $consumer->close();
    forget($name);

    return $task === null && $used < 0.6;
}

$failed = [];
foreach (array_slice($argv, 1) as $part) {
    echo "== $part\n";
    $name = "amqp1-soak-$part-" . bin2hex(random_bytes(4));
    // In its own process, so that leftovers of one part are not counted in the next.
    $pid = pcntl_fork();
    if ($pid === 0) {
        try {
            exit($part($name) ? 0 : 1);
        } catch (Throwable $e) {
            echo "  $e\n";
            exit(1);
        }
    }
    pcntl_waitpid($pid, $status);
    if (!pcntl_wifexited($status) || pcntl_wexitstatus($status) !== 0) {
        $failed[] = $part;
    }
}
echo $failed === [] ? "All good.\n" : 'FAILED: ' . implode(', ', $failed) . "\n";
exit($failed === [] ? 0 : 1);
