<?php
// One measurement in its own process. bench/run starts it and reads the JSON that it prints.
//
// Only the work is timed, not connecting, declaring and the first WARM jobs.

declare(strict_types=1);

const WARM = 200;

$task = json_decode($argv[1], true, 8, JSON_THROW_ON_ERROR);
['mode' => $mode, 'dsn' => $dsn, 'queue' => $queue, 'jobs' => $jobs, 'window' => $window, 'prefetch' => $prefetch] = $task;

function body(int $n): string
{
    return sprintf('%08d', $n) . str_repeat('x', 248);
}

/** The application's own three headers. */
function headers(int $n): array
{
    return ['tenant-id' => 'company-a', 'request-id' => 'req-0123456789abcdef', 'number' => $n];
}

/** User and system time of the process, all threads, in seconds. */
function cpu(): float
{
    $usage = getrusage();

    return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']
        + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
}

function percentile(array $sorted, float $part): float
{
    return $sorted[(int) min(count($sorted) - 1, floor(count($sorted) * $part))];
}

/** Counts every job by its number. A job that is missing or comes twice ends the measurement. */
final class Tally
{
    private array $seen = [];
    private int $twice = 0;

    public function take(string $body): int
    {
        $n = (int) substr($body, 0, 8);
        if (isset($this->seen[$n]) || strlen($body) !== 256) {
            ++$this->twice;
        }
        $this->seen[$n] = true;

        return count($this->seen);
    }

    public function check(int $expected): void
    {
        if (count($this->seen) !== $expected || $this->twice !== 0) {
            throw new RuntimeException(count($this->seen) . " of $expected jobs, $this->twice twice");
        }
    }
}

/** php-amqp's side. */
final class Peer
{
    public AMQPChannel $channel;
    public AMQPExchange $exchange;
    private int $sent = 0;
    private int $confirmed = 0;
    private int $wanted = 0;
    private array $ahead = [];
    private array $attributes = ['delivery_mode' => 2, 'content_type' => 'application/octet-stream'];

    public function __construct(string $dsn, private string $queue, private bool $envelope)
    {
        $at = parse_url($dsn);
        $connection = new AMQPConnection([
            'host' => $at['host'], 'port' => $at['port'] ?? 5672,
            'login' => rawurldecode($at['user'] ?? 'guest'), 'password' => rawurldecode($at['pass'] ?? 'guest'),
            'vhost' => isset($at['path']) && $at['path'] !== '/' ? rawurldecode(substr($at['path'], 1)) : '/',
        ]);
        $connection->connect();
        $this->channel = new AMQPChannel($connection);
        $this->exchange = new AMQPExchange($this->channel);
    }

    public function declare(string $type): void
    {
        $queue = $this->queue();
        $queue->setFlags(AMQP_DURABLE);
        $queue->setArguments(['x-queue-type' => $type]);
        $queue->declareQueue();
    }

    public function queue(): AMQPQueue
    {
        $queue = new AMQPQueue($this->channel);
        $queue->setName($this->queue);

        return $queue;
    }

    public function confirmSelect(): void
    {
        $this->channel->confirmSelect();
        $this->channel->setConfirmCallback(
            function (int $tag, bool $multiple): bool {
                if ($multiple) {
                    $this->confirmed = max($this->confirmed, $tag);
                } else {
                    $this->ahead[$tag] = true;
                }
                while ($this->ahead !== [] && isset($this->ahead[$this->confirmed + 1])) {
                    unset($this->ahead[++$this->confirmed]);
                }

                return $this->confirmed < $this->wanted;
            },
            static fn (int $tag) => throw new RuntimeException("job $tag was refused")
        );
    }

    public function publish(int $n): void
    {
        $this->attributes['headers'] = headers($n);
        if ($this->envelope) {
            $id = bin2hex(random_bytes(16));
            $this->attributes['message_id'] = $id;
            $this->attributes['timestamp'] = time();
            $this->attributes['headers'] += [
                'rr_id' => $id, 'rr_job' => 'Bench', 'rr_pipeline' => $this->queue, 'rr_delay' => 0, 'rr_priority' => 4,
                'rr_headers' => json_encode(array_map(static fn ($value) => [(string) $value], headers($n))),
                'rr_auto_ack' => false,
            ];
        }
        $this->exchange->publish(body($n), $this->queue, AMQP_NOPARAM, $this->attributes);
        ++$this->sent;
    }

    /** Waits until at most this many messages are unconfirmed. */
    public function confirm(int $open): void
    {
        $this->wanted = $this->sent - $open;
        if ($this->confirmed < $this->wanted) {
            $this->channel->waitForConfirm(30);
        }
    }

    public function publishMany(int $from, int $to, int $window): void
    {
        for ($n = $from; $n < $to; ++$n) {
            $this->publish($n);
            if ($this->sent - $this->confirmed >= $window) {
                $this->confirm(intdiv($window, 2));
            }
        }
        $this->confirm(0);
    }
}


function amqp1Jobs(int $from, int $to): Generator
{
    for ($n = $from; $n < $to; ++$n) {
        yield ['name' => 'Bench', 'payload' => body($n), 'options' => ['headers' => headers($n)]];
    }
}

/** Times each call. Returns the sorted latencies. */
function each(callable $one, int $jobs): array
{
    $latencies = [];
    for ($n = WARM; $n < WARM + $jobs; ++$n) {
        $start = hrtime(true);
        $one($n);
        $latencies[] = (hrtime(true) - $start) / 1e3;
    }
    sort($latencies);

    return $latencies;
}

// php-amqp declares the queue for both sides, so that it is the same.
(new Peer($dsn, $queue, false))->declare($task['type']);

$latencies = [];
$seconds = $cpu = 0.0;
$start = static function () use (&$seconds, &$cpu): void {
    $cpu = -cpu();
    $seconds = -hrtime(true) / 1e9;
};
$stop = static function () use (&$seconds, &$cpu): void {
    $seconds += hrtime(true) / 1e9;
    $cpu += cpu();
};

switch ($mode) {
    case 'amqp1-push':
        $amqp1 = new Amqp1\AmqpQueue($dsn, $queue);
        for ($n = 0; $n < WARM; ++$n) {
            $amqp1->push('Bench', body($n), ['headers' => headers($n)]);
        }
        $start();
        $latencies = each(static fn (int $n) => $amqp1->push('Bench', body($n), ['headers' => headers($n)]), $jobs);
        $stop();
        break;

    case 'peer-push':
        $peer = new Peer($dsn, $queue, $task['envelope']);
        $peer->confirmSelect();
        $peer->publishMany(0, WARM, 1);
        $start();
        $latencies = each(static function (int $n) use ($peer): void {
            $peer->publish($n);
            $peer->confirm(0);
        }, $jobs);
        $stop();
        break;

    case 'amqp1-pushMany':
        $amqp1 = new Amqp1\AmqpQueue($dsn, $queue);
        $amqp1->pushMany(amqp1Jobs(0, WARM));
        $start();
        $ids = $amqp1->pushMany(amqp1Jobs(WARM, WARM + $jobs));
        $stop();
        if (count($ids) !== $jobs) {
            throw new RuntimeException(count($ids) . ' ids');
        }
        break;

    case 'peer-pushMany':
        $peer = new Peer($dsn, $queue, $task['envelope']);
        $peer->confirmSelect();
        $peer->publishMany(0, WARM, $window);
        $start();
        $peer->publishMany(WARM, WARM + $jobs, $window);
        $stop();
        break;

    case 'amqp1-consume':
        $consumer = new Amqp1\Consumer(new Amqp1\AmqpQueue($dsn, $queue), ['prefetch' => $prefetch]);
        $tally = new Tally();
        for ($done = 0; $done < WARM + $jobs;) {
            $job = $consumer->waitTask(30) ?? throw new RuntimeException("only $done jobs came");
            $job->getHeaders();
            $done = $tally->take($job->getBody());
            $job->ack();
            if ($done === WARM) {
                $start();
            }
        }
        $consumer->close(); // sends all acknowledgements
        $stop();
        $tally->check(WARM + $jobs);
        break;

    case 'peer-consume':
    case 'peer-consume-multiple':
        $peer = new Peer($dsn, $queue, false);
        $peer->channel->qos(0, $prefetch);
        $tally = new Tally();
        $multiple = $mode === 'peer-consume-multiple' ? max(1, min(50, intdiv($prefetch, 4))) : 0;
        $source = $peer->queue();
        $source->consume(static function (AMQPEnvelope $message, AMQPQueue $source) use ($tally, $jobs, $multiple, $start): bool {
            $message->getHeaders();
            $done = $tally->take($message->getBody());
            if ($multiple === 0) {
                $source->ack($message->getDeliveryTag());
            } elseif ($done % $multiple === 0 || $done === WARM + $jobs) {
                $source->ack($message->getDeliveryTag(), AMQP_MULTIPLE);
            }
            if ($done === WARM) {
                $start();
            }

            return $done < WARM + $jobs;
        });
        $source->cancel(); // a round trip: afterwards, the broker has read all acknowledgements
        $stop();
        $tally->check(WARM + $jobs);
        break;

    default:
        throw new RuntimeException("no mode $mode");
}

echo json_encode([
    'jobs' => $jobs,
    'rate' => $jobs / $seconds,
    'cpu' => $cpu / $jobs * 1e6,
    'p50' => $latencies === [] ? null : percentile($latencies, 0.5),
    'p99' => $latencies === [] ? null : percentile($latencies, 0.99),
    'memory' => memory_get_peak_usage(),
]), "\n";
