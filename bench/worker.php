<?php
// One measurement in its own process: bench/run starts it with a task (bench/lib/Task.php) and reads the JSON that it prints.
//
// Only the work is timed, not connecting, attaching and the first jobs.

declare(strict_types=1);

use Amqp1\Bench\Clients;
use Amqp1\Bench\FpmRequests;
use Amqp1\Bench\Memory;
use Amqp1\Bench\Statistics;
use Amqp1\Bench\Stopwatch;
use Amqp1\Bench\Tally;
use Amqp1\Bench\Task;

require __DIR__ . '/lib/autoload.php';
gc_disable(); // its runs are not what is compared

$task = Task::fromJson($argv[1]);
if ($task->mode === 'fpm') {
    echo json_encode(FpmRequests::measure($task)), "\n";
    exit;
}
$client = match (explode(' ', $task->client)[0]) {
    'amqp1', 'before' => new Clients\Amqp1($task),
    'php-amqp' => new Clients\PhpAmqp($task),
    'php-amqplib' => new Clients\PhpAmqplib($task),
    'floor' => $task->client === 'floor 1.0' ? new Clients\Floor10($task) : new Clients\Floor091($task),
};
$watch = new Stopwatch();
$memory = new Memory($task->jobs, $task->samples);
$latencies = [];
$wait = static function () use ($task): void {
    if ($task->startAt > 0) {
        usleep((int) max(0, ($task->startAt - microtime(true)) * 1e6));
    }
};

switch ($task->mode) {
    case 'push':
        for ($n = 0; $n < $task->warm; ++$n) {
            $client->push($n);
        }
        $watch->start();
        for (; $n < $task->warm + $task->jobs; ++$n) {
            $start = hrtime(true);
            $client->push($n);
            $latencies[] = (hrtime(true) - $start) / 1e3;
        }
        $watch->stop();
        break;

    case 'pushMany':
        $client->pushMany(0, $task->warm);
        $wait();
        // In parts only if the memory is looked at between them.
        $part = $task->samples === 0 ? $task->jobs : intdiv($task->jobs, $task->samples);
        $watch->start();
        for ($done = 0; $done < $task->jobs; $done += $part) {
            $client->pushMany($task->warm + $done, $task->warm + min($task->jobs, $done + $part));
            $memory->sample($done + $part);
        }
        $watch->stop();
        break;

    case 'consume':
        $wait();
        $client->consume(new Tally($task, $watch, $memory));
        $watch->stop();
        break;

    default:
        throw new RuntimeException("no mode {$task->mode}");
}

echo json_encode($watch->figures($task->jobs) + $memory->figures() + ($latencies === [] ? [] : [
    'p50' => Statistics::percentile($latencies, 0.5),
    'p99' => Statistics::percentile($latencies, 0.99),
])), "\n";
