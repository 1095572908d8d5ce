<?php

/**
 * One run against a real Azure Service Bus namespace tells what differs from amqp1-broker's dialect of it.
 *
 * usage: AMQP1_LIVE_SERVICEBUS='Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…' make live
 *
 * The key needs Listen and Send on the entities. They have to exist, and be empty; what is not there is
 * left out and said so:
 *
 *   AMQP1_LIVE_QUEUE          a queue, lock duration 30 s or less, no sessions, no duplicate detection  (amqp1-live)
 *   AMQP1_LIVE_SESSION_QUEUE  a queue with sessions                                                     (amqp1-live-sessions)
 *   AMQP1_LIVE_DUPLICATES     a queue with duplicate detection                                          (amqp1-live-duplicates)
 *   AMQP1_LIVE_TOPIC          a topic with a subscription `all`                                         (amqp1-live-topic)
 *
 * Each line is a statement of the dialect and whether the service agrees: `same`, `DIFFERS`, or `left out`. Nothing
 * ends the run. Takes three minutes; with AMQP1_LIVE_LONG=1 also what takes longer (the idle link: 12 minutes). The
 * exit status is 0 when nothing differs.
 */

declare(strict_types=1);

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception as Failure;

final class LeftOut extends RuntimeException
{
}

final class Live
{
    private int $same = 0;

    /** @var list<string> */
    private array $differences = [];

    public function __construct(public readonly string $dsn)
    {
    }

    public function queue(string $variable, array $options = [], ?string $dsn = null): AmqpQueue
    {
        $names = ['QUEUE' => 'amqp1-live', 'SESSION_QUEUE' => 'amqp1-live-sessions',
            'DUPLICATES' => 'amqp1-live-duplicates', 'TOPIC' => 'amqp1-live-topic'];
        $name = getenv("AMQP1_LIVE_$variable") ?: $names[$variable];
        $queue = new AmqpQueue($dsn ?? $this->dsn, $name, $options + ['timeout' => 60]);
        try {
            $queue->setup();
        } catch (Failure\QueueNotFoundException) {
            throw new LeftOut("there is no '$name' (AMQP1_LIVE_$variable)");
        }

        return $queue;
    }

    /** @param callable(): mixed $is what the service does; compared with what the dialect does */
    public function same(string $statement, mixed $expected, callable $is): void
    {
        $begun = microtime(true);
        try {
            $found = $is();
        } catch (LeftOut $left) {
            echo "left out  $statement: {$left->getMessage()}\n";
            return;
        } catch (Throwable $thrown) {
            $found = $thrown::class . ': ' . $thrown->getMessage();
        }
        $took = sprintf('%.1f s', microtime(true) - $begun);
        if ($found === $expected) {
            ++$this->same;
            echo "same      $statement ($took)\n";
            return;
        }
        $this->differences[] = $statement;
        $show = static fn ($value) => json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PARTIAL_OUTPUT_ON_ERROR);
        echo "DIFFERS   $statement ($took)\n          dialect: {$show($expected)}\n          service: {$show($found)}\n";
    }

    public function end(): int
    {
        printf("%d the same, %d differ%s\n", $this->same, count($this->differences),
            $this->differences === [] ? '' : ': ' . implode('; ', $this->differences));

        return $this->differences === [] ? 0 : 1;
    }
}

function take(AmqpQueue $queue, array $options = []): Amqp1\Task
{
    $consumer = new Consumer($queue, $options);
    $task = $consumer->waitTask(30) ?? throw new RuntimeException('no job within 30 s');
    $task->ack();
    $consumer->close();

    return $task;
}

function thrown(callable $do): string
{
    try {
        $do();
    } catch (Throwable $thrown) {
        return $thrown::class;
    }

    return 'nothing';
}

$dsn = getenv('AMQP1_LIVE_SERVICEBUS');
if ($dsn === false || $dsn === '') {
    fwrite(STDERR, "AMQP1_LIVE_SERVICEBUS is not set: the connection string of a namespace\n");
    exit(2);
}
$live = new Live($dsn);
$unique = bin2hex(random_bytes(4));

$live->same('CBS: a token signed with the key is taken', 'servicebus', static fn () => $live->queue('QUEUE')->getBroker()['dialect']);
$live->same('SASL PLAIN with rule and key', 1, static function () use ($live, $unique) {
    if (!preg_match('~Endpoint=sb://([^;/]+)/?;~i', "$live->dsn;", $host) || !preg_match('~SharedAccessKeyName=([^;]+)~i', $live->dsn, $rule)
        || !preg_match('~SharedAccessKey=([^;]+)~i', $live->dsn, $key)) {
        throw new LeftOut('the connection string has no key');
    }
    $plain = stripos($live->dsn, 'UseDevelopmentEmulator=true') !== false;
    $url = sprintf('%s://%s:%s@%s/?dialect=servicebus', $plain ? 'amqp' : 'amqps', rawurlencode($rule[1]), rawurlencode($key[1]), $host[1]);
    $queue = $live->queue('QUEUE', dsn: $url);
    $queue->push("plain-$unique");

    return take($queue)->getAttempts();
});
$live->same('a wrong key is an AuthenticationException', Failure\AuthenticationException::class, static fn () => thrown(
    static fn () => (new AmqpQueue(preg_replace('~SharedAccessKey=[^;]+~i', 'SharedAccessKey=d3Jvbmc=', $live->dsn), 'q', ['timeout' => 30]))->push('A')
));
$live->same('a missing entity is a QueueNotFoundException', Failure\QueueNotFoundException::class, static fn () => thrown(
    static fn () => (new AmqpQueue($live->dsn, "missing-$unique", ['timeout' => 30]))->push('A')
));
$live->same('a job comes as it was sent', ['Order', ['id' => 7], "id-$unique", 'trace', 1, ['tenant' => ['a'], 'n' => ['5']], 'application/json'], static function () use ($live, $unique) {
    $queue = $live->queue('QUEUE');
    $queue->push('Order', ['id' => 7], ['id' => "id-$unique", 'trace_id' => 'trace', 'headers' => ['tenant' => 'a', 'n' => 5]]);
    $task = take($queue);

    return [$task->getName(), $task->getPayload(), $task->getId(), $task->getTraceId(), $task->getAttempts(), $task->getHeaders(), 'application/json'];
});
$live->same('200 KB', 200_000, static function () use ($live) {
    $queue = $live->queue('QUEUE');
    $queue->push('Large', random_bytes(200_000));

    return strlen(take($queue)->getBody());
});
$live->same('a message beyond the limit is a RejectedException', Failure\RejectedException::class, static fn () => thrown(
    static fn () => $live->queue('QUEUE')->push('Huge', str_repeat('x', 110_000_000))
));
$live->same('batches: 1000 jobs, all there, in order', [1000, 'job-0', 'job-1', 'job-2'], static function () use ($live) {
    $queue = $live->queue('QUEUE', ['timeout' => 120]);
    $ids = $queue->pushMany((static function () {
        for ($i = 0; $i < 1000; ++$i) {
            yield ['name' => "job-$i", 'payload' => str_repeat('x', 500)];
        }
    })());
    $consumer = new Consumer($queue, ['prefetch' => 10]);
    $names = [];
    for ($i = 0; $i < 3; ++$i) {
        $task = $consumer->waitTask(30);
        $names[] = $task?->getName();
        $task?->ack();
    }
    $consumer->close();

    return [count(array_unique($ids)), ...$names];
});
$live->same('what is in hand and in the buffer goes back at close(), and is not counted as a delivery', 1, static function () use ($live) {
    $queue = $live->queue('QUEUE');
    $consumer = new Consumer($queue, ['prefetch' => 10]);
    $consumer->waitTask(30);
    $consumer->close();

    return take($queue)->getAttempts();
});
$live->same('count() by peek', 996, static fn () => count($live->queue('QUEUE')));
$live->same('purge() by receive-and-delete and drain', [996, 0], static function () use ($live) {
    $queue = $live->queue('QUEUE', ['timeout' => 120]);

    return [$queue->purge(), count($queue)];
});
$live->same('abandon: at once, counted', [1, 2], static function () use ($live) {
    $queue = $live->queue('QUEUE');
    $queue->push('Again');
    $consumer = new Consumer($queue);
    $first = $consumer->waitTask(30);
    $first->nack('once', true);
    $second = $consumer->waitTask(10);
    $second?->ack();
    $consumer->close();

    return [$first->getAttempts(), $second?->getAttempts()];
});
$live->same('a retry after a pause is a copy', ['the-id', 2], static function () use ($live) {
    $queue = $live->queue('QUEUE', ['backoff' => [2]]);
    $queue->push('Retry', null, ['id' => 'the-id']);
    $consumer = new Consumer($queue);
    $consumer->waitTask(30)->nack('once');
    $task = $consumer->waitTask(30);
    $task?->ack();
    $consumer->close();

    return [$task?->getId(), $task?->getAttempts()];
});
$live->same('dead-lettered with reason, description and our facts as properties; and back', [['reason' => 'unfit', 'error' => 'not fit', 'exception' => null, 'attempts' => 1], 1, 'Bad'], static function () use ($live) {
    $queue = $live->queue('QUEUE');
    $queue->push('Bad');
    $consumer = new Consumer($queue);
    $consumer->waitTask(30)->deadLetter('unfit', 'not fit');
    $consumer->close();
    $task = $queue->failed()->reserve(30);
    $failure = array_intersect_key($task->getFailure(), ['reason' => 1, 'error' => 1, 'exception' => 1, 'attempts' => 1]);
    $task->nack(null, true);
    $moved = $queue->retryFailed();

    return [$failure, $moved, take($queue)->getName()];
});
$live->same('the queue a dead-lettered job came from is among its properties', true, static function () use ($live) {
    $queue = $live->queue('QUEUE');
    $queue->push('Bad');
    $consumer = new Consumer($queue);
    $consumer->waitTask(30)->deadLetter('unfit');
    $consumer->close();
    $task = $queue->failed()->reserve(30);
    $task->ack();

    return $task->getFailure()['queue'] === $queue->getName();
});
$live->same('scheduled, seen by peek, cancelled once', [1, true, false], static function () use ($live) {
    $queue = $live->queue('QUEUE');
    $number = $queue->schedule('Never', null, 600);

    return [$queue->stats()['delayed'], $queue->cancel($number), $queue->cancel($number)];
});
$live->same('a delayed job comes when it is due', true, static function () use ($live) {
    $queue = $live->queue('QUEUE');
    $begun = microtime(true);
    $queue->push('Later', null, ['delay' => 5]);
    take($queue);

    return microtime(true) - $begun >= 4.5;
});
$live->same('locks are renewed: a job of 45 s (lock duration 30 s or less)', 'acked', static function () use ($live) {
    $queue = $live->queue('QUEUE');
    $queue->push('Slow');
    $consumer = new Consumer($queue);
    $task = $consumer->waitTask(30);
    sleep(getenv('AMQP1_LIVE_QUICK') ? 4 : 45);
    $task->ack();
    $consumer->close();

    return $task->getOutcome();
});
$live->same('a lock that is not renewed is a TaskLostException (lock duration 30 s or less)', [Failure\TaskLostException::class, 2], static function () use ($live) {
    $queue = $live->queue('QUEUE', ['max_lock_renewal' => 0]);
    $queue->push('Lost');
    // With a larger one it would come to this very consumer again, and be lost again.
    $consumer = new Consumer($queue, ['prefetch' => 1]);
    $task = $consumer->waitTask(30);
    sleep(getenv('AMQP1_LIVE_QUICK') ? 4 : 45);
    $lost = thrown(static fn () => $task->ack());
    $consumer->close();

    return [$lost, take($queue)->getAttempts()];
});
$live->same('a plain receiver on a session queue is an UnsupportedException', Failure\UnsupportedException::class, static fn () => thrown(
    static fn () => (new Consumer($live->queue('SESSION_QUEUE')))->waitTask(20)
));
$live->same('sessions: in order, state kept, the next free one', [['a-1', 'a-2'], 'at 2', 'b-1', 'b'], static function () use ($live, $unique) {
    $queue = $live->queue('SESSION_QUEUE');
    foreach ([1, 2] as $n) {
        $queue->push("a-$n", null, ['group' => "a-$unique"]);
    }
    $queue->push('b-1', null, ['group' => "b-$unique"]);
    $consumer = new Consumer($queue, ['session' => "a-$unique"]);
    $names = [];
    for ($n = 1; $n <= 2; ++$n) {
        $task = $consumer->waitTask(30);
        $names[] = $task?->getName();
        $consumer->setSessionState("at $n");
        $task?->ack();
    }
    $consumer->close();
    $again = new Consumer($queue, ['session' => "a-$unique"]);
    $again->waitTask(2);
    $state = $again->getSessionState();
    $again->setSessionState(null);
    $again->close();
    $next = new Consumer($queue, ['session' => true]);
    $task = $next->waitTask(30);
    $session = $next->getSession();
    $task?->ack();
    $next->close();

    return [$names, $state, $task?->getName(), substr((string) $session, 0, 1)];
});
$live->same('no free session: waitTask() gives null', null, static fn () => (new Consumer($live->queue('SESSION_QUEUE'), ['session' => true]))->waitTask(5));
$live->same('duplicates are dropped, and a retry is none', [1, 'Once', 2], static function () use ($live, $unique) {
    $queue = $live->queue('DUPLICATES', ['backoff' => [1]]);
    $queue->push('Once', null, ['id' => "dup-$unique"]);
    $queue->push('Twice', null, ['id' => "dup-$unique"]);
    $count = count($queue);
    $consumer = new Consumer($queue);
    $consumer->waitTask(30)->nack('once');
    $task = $consumer->waitTask(30);
    $task?->ack();
    $consumer->close();

    return [$count, $task?->getName(), $task?->getAttempts()];
});
$live->same('a topic and its subscription', ['Event', 1], static function () use ($live) {
    $topic = $live->queue('TOPIC');
    $topic->push('Event');
    $task = take(new AmqpQueue($live->dsn, $topic->getName() . '/Subscriptions/all', ['timeout' => 30]));

    return [$task->getName(), $task->getAttempts()];
});
$live->same('12 minutes without a message: both ends go on', ['acked', 'After'], static function () use ($live) {
    if (!getenv('AMQP1_LIVE_LONG')) {
        throw new LeftOut('AMQP1_LIVE_LONG is not set');
    }
    $queue = $live->queue('QUEUE', ['max_lock_renewal' => 1000]);
    $queue->push('Before');
    $consumer = new Consumer($queue);
    $task = $consumer->waitTask(30);
    sleep(720);
    $task->ack();
    $queue->push('After');
    $after = $consumer->waitTask(30);
    $after?->ack();
    $consumer->close();

    return [$task->getOutcome(), $after?->getName()];
});
exit($live->end());
