<?php

// What the extension observes of a Service Bus namespace: one line of JSON per observation, {"name": …, "saw": …}.
//
// usage: scripts/php extension.php
//
// The connection string (AMQP1_LIVE_TARGET) and the entities (scripts/live) are in the environment. The entities are
// empty. What differs from run to run (times, ids) is not part of an observation.

declare(strict_types=1);

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\QueueNotFoundException;

$connectionString = getenv('AMQP1_LIVE_TARGET');
$entity = static fn (string $name): string => (string) getenv("AMQP1_LIVE_$name");

/** The queue must exist, or its observation is left out. */
$queue = static function (array $options = [], ?string $name = null) use ($connectionString, $entity): AmqpQueue {
    static $known = [];
    $name ??= $entity('QUEUE');
    $queue = new AmqpQueue($connectionString, $name, $options + ['timeout' => 60]);
    if (!isset($known[$name]) && !str_ends_with($name, '-missing')) {
        try {
            $queue->setup();
        } catch (QueueNotFoundException) {
            throw new OutOfBoundsException("there is no $name");
        }
        $known[$name] = true;
    }

    return $queue;
};

/** An exception is an observation too. */
function observe(string $name, callable $look): void
{
    $name = "extension: $name";
    if (!preg_match('{' . (getenv('AMQP1_LIVE_ONLY') ?: '.') . '}', $name)) {
        return;
    }
    $note = null;
    try {
        $saw = $look();
    } catch (OutOfBoundsException $left) {
        $name .= ': left out';
        $saw = $left->getMessage();
    } catch (Throwable $thrown) {
        $saw = 'threw ' . get_class($thrown);
        $note = $thrown->getMessage();
    }
    echo json_encode(['name' => $name, 'saw' => $saw, 'note' => $note], JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}

/** The class of the exception. */
function refused(callable $act): mixed
{
    $act();

    return 'nothing thrown';
}

/** The next job, acknowledged: name, payload, id, attempts. */
function take(AmqpQueue $queue, array $options = []): ?array
{
    $consumer = new Consumer($queue, $options + ['prefetch' => 1]);
    try {
        $task = $consumer->waitTask(15);
        $task?->ack();

        return $task === null ? null : [$task->getName(), $task->getPayload(), $task->getId(), $task->getAttempts()];
    } finally {
        $consumer->close();
    }
}

function emptied(AmqpQueue $queue): int
{
    return $queue->purge() + $queue->failed()->purge();
}

emptied($queue());

observe('dialect by the connection string', static fn () => $queue()->getBroker()['dialect']);
observe('product', static fn () => preg_replace('~/.*~', '', $queue()->getBroker()['product']));
observe('ping takes less than 5 s', static fn () => $queue()->ping() < 5);
observe('setup() of what is there', static fn () => $queue()->setup());

observe('push and take', static function () use ($queue) {
    $queue()->push('Order', ['id' => 7], ['id' => 'job-7', 'headers' => ['n' => 5]]);

    return take($queue());
});

observe('by SASL PLAIN', static function () use ($connectionString, $entity) {
    preg_match('~Endpoint=sb://([^;/]+)~', $connectionString, $endpoint);
    preg_match('~SharedAccessKeyName=([^;]+)~', $connectionString, $rule);
    preg_match('~SharedAccessKey=([^;]+)~', $connectionString, $key);
    $scheme = str_contains($connectionString, 'UseDevelopmentEmulator=true') ? 'amqp' : 'amqps';
    $dsn = sprintf('%s://%s:%s@%s/', $scheme, rawurlencode($rule[1]), rawurlencode($key[1]), $endpoint[1]);
    $plain = new AmqpQueue($dsn, $entity('QUEUE'), ['timeout' => 30, 'dialect' => 'servicebus']);
    $plain->push('Plain', 'p', ['id' => 'plain']);

    return take($plain);
});

observe('a wrong key', static fn () => refused(static fn () => (new AmqpQueue(
    preg_replace('~SharedAccessKey=[^;]+~', 'SharedAccessKey=d3Jvbmc=', $connectionString), $entity('QUEUE'), ['timeout' => 30]
))->push('A')));
observe('a missing queue, push', static fn () => refused(static fn () => $queue([], 'amqp1-live-missing')->push('A')));
observe('a missing queue, consume', static fn () => refused(
    static fn () => (new Consumer($queue([], 'amqp1-live-missing')))->waitTask(10)
));
observe('a job that is too large', static fn () => refused(static fn () => $queue()->push('A', str_repeat('x', 101 << 20))));
observe('a session queue without a group', static fn () => refused(
    static fn () => $queue([], $entity('SESSION_QUEUE'))->push('A')
));
observe('a session queue without a session', static fn () => refused(
    static fn () => (new Consumer($queue([], $entity('SESSION_QUEUE'))))->waitTask(10)
));
observe('push after all that', static function () use ($queue) {
    $queue()->push('Again', null, ['id' => 'again']);

    return take($queue());
});

observe('a batch of 300, in order', static function () use ($queue) {
    $jobs = array_map(static fn (int $n) => ['name' => "j-$n", 'payload' => str_repeat('x', 2000)], range(0, 299));
    $ids = $queue()->pushMany($jobs);
    $consumer = new Consumer($queue(), ['prefetch' => 100]);
    for ($n = 0; $n < 300 && ($task = $consumer->waitTask(15)) !== null; $n++) {
        if ([$task->getName(), $task->getId()] !== ["j-$n", $ids[$n]]) {
            return "at $n: {$task->getName()}";
        }
        $task->ack();
    }
    $consumer->close();

    return $n;
});

observe('200 KB', static function () use ($queue) {
    $queue()->push('Large', random_bytes(200_000));
    $consumer = new Consumer($queue(), ['prefetch' => 1]);
    $task = $consumer->waitTask(30);
    $task?->ack();
    $consumer->close();

    return strlen((string) $task?->getBody());
});

observe('what was buffered is not counted as delivered; count and purge', static function () use ($queue) {
    $queue()->pushMany(array_fill(0, 500, ['name' => 'Many']));
    $consumer = new Consumer($queue(), ['prefetch' => 10]);
    $consumer->waitTask(15);
    $consumer->close();
    $attempts = take($queue())[3] ?? null;

    return [$attempts, count($queue()), $queue()->purge(), count($queue())];
});

observe('one of a batch too large: which failed', static function () use ($queue) {
    try {
        $queue()->pushMany([['name' => 'a'], ['name' => 'b', 'payload' => str_repeat('x', 101 << 20)], ['name' => 'c']]);
    } catch (BatchException $error) {
        return [array_keys($error->getFailures()), emptied($queue())];
    }

    return 'nothing thrown';
});

observe('delay, not sooner and not much later', static function () use ($queue) {
    $begun = microtime(true);
    $queue()->push('Later', null, ['delay' => 3, 'id' => 'later']);
    $job = take($queue());
    $took = microtime(true) - $begun;

    return [$job, $took >= 2.9, $took < 10];
});

observe('count, stats and cancel of a scheduled one', static function () use ($queue) {
    $number = $queue()->schedule('Never', null, 3600);
    $queue()->push('Ready');
    $stats = array_intersect_key($queue()->stats(), ['active' => 0, 'ready' => 0, 'delayed' => 0, 'reserved' => 0]);
    $count = count($queue());

    return [$stats, $count, $queue()->cancel($number), $queue()->cancel($number), emptied($queue())];
});

observe('abandoned, attempts', static function () use ($queue) {
    $queue()->push('Tried');
    $consumer = new Consumer($queue(), ['prefetch' => 1]);
    $attempts = [];
    for ($n = 0; $n < 2; $n++) {
        $task = $consumer->waitTask(15);
        $attempts[] = $task?->getAttempts();
        $n === 0 ? $task?->nack('once', true) : $task?->ack();
    }
    $consumer->close();

    return $attempts;
});

observe('the property of what was abandoned is kept: its last attempt is final', static function () use ($queue) {
    $queue()->push('Abandoned');
    $consumer = new Consumer($queue(['max_attempts' => 2, 'backoff' => 0]), ['prefetch' => 1]);
    $outcomes = [];
    for ($n = 0; $n < 2; $n++) {
        $task = $consumer->waitTask(15);
        $task?->nack('again');
        $outcomes[] = $task?->getOutcome();
    }
    $consumer->close();

    return [$outcomes, take($queue()->failed())[0] ?? null];
});

observe('a retry after a pause, attempts', static function () use ($queue) {
    $queue(['backoff' => [1]])->push('Retried', 'p', ['id' => 'retried']);
    $consumer = new Consumer($queue(['backoff' => [1]]), ['prefetch' => 1]);
    $consumer->waitTask(15)?->nack('once');
    $consumer->close();

    return take($queue());
});

observe('dead-lettered, read back and retried', static function () use ($queue) {
    $queue()->push('Bad', 'x', ['id' => 'bad']);
    $consumer = new Consumer($queue(), ['prefetch' => 1]);
    $consumer->waitTask(15)?->deadLetter(new DomainException('no such customer'));
    $consumer->close();
    $failure = ($task = $queue()->failed()->reserve(15))?->getFailure();
    $failure['queue'] = ($failure['queue'] ?? null) === $queue()->getName();
    unset($failure['failed_at']);
    $task?->nack(null, true);

    return [$failure, $queue()->retryFailed(), take($queue())];
});

observe('a lock is renewed beyond its duration', static function () use ($queue) {
    $queue()->push('Slow');
    $consumer = new Consumer($queue(), ['prefetch' => 1]);
    $task = $consumer->waitTask(15);
    sleep(25);
    $task?->ack();
    $consumer->close();

    return [$task?->getAttempts(), count($queue())];
});

observe('a lock that is not renewed', static function () use ($queue) {
    $queue()->push('Slow', null, ['id' => 'slow']);
    $consumer = new Consumer($queue(['max_lock_renewal' => 0]), ['prefetch' => 1]);
    $task = $consumer->waitTask(15);
    sleep(12);
    try {
        $task?->ack();
        $lost = 'nothing thrown';
    } catch (Throwable $thrown) {
        $lost = get_class($thrown);
    }
    $consumer->close();

    return [$lost, take($queue())];
});

observe('what is in hand goes back when its consumer closes', static function () use ($queue) {
    $queue()->push('Back', null, ['id' => 'back']);
    $consumer = new Consumer($queue(), ['prefetch' => 5]);
    $consumer->waitTask(15);
    $consumer->close();

    return take($queue());
});

observe('an expired job', static function () use ($queue) {
    $queue()->push('Short', null, ['ttl' => 1]);
    sleep(3);
    $consumer = new Consumer($queue(), ['prefetch' => 1]);
    $task = $consumer->waitTask(1);
    $consumer->close();
    $failure = ($letter = $queue()->failed()->reserve(30))?->getFailure();
    $letter?->ack();

    return [$task?->getName(), $failure['reason'] ?? null];
});

observe('duplicates are dropped', static function () use ($queue, $entity) {
    $duplicates = $queue([], $entity('DUPLICATES_QUEUE'));
    $id = 'same-' . bin2hex(random_bytes(4));
    $duplicates->push('First', null, ['id' => $id]);
    $duplicates->push('Second', null, ['id' => $id]);

    return [count($duplicates), take($duplicates)[0] ?? null, count($duplicates)];
});

observe('a retry is no duplicate', static function () use ($queue, $entity) {
    $duplicates = $queue(['backoff' => [1]], $entity('DUPLICATES_QUEUE'));
    $duplicates->push('Once', null, ['id' => 'retry-' . bin2hex(random_bytes(4))]);
    $consumer = new Consumer($duplicates, ['prefetch' => 1]);
    $consumer->waitTask(15)?->nack('once');
    $consumer->close();
    $job = take($duplicates);

    return [$job[0] ?? null, $job[3] ?? null];
});

observe('a session in order, its state, and a lock beyond its duration', static function () use ($queue, $entity) {
    $sessions = $queue([], $entity('SESSION_QUEUE'));
    $sessions->pushMany([['name' => '1'], ['name' => '2'], ['name' => '3']], ['group' => 'ordered']);
    $consumer = new Consumer($sessions, ['session' => 'ordered']);
    $names = [];
    for ($n = 0; $n < 3 && ($task = $consumer->waitTask(15)) !== null; $n++) {
        $names[] = $task->getName();
        if ($n === 1) {
            $consumer->setSessionState("half\0");
            sleep(15);
        }
        $task->ack();
    }
    $state = $consumer->getSessionState();
    $consumer->setSessionState(null);
    $id = $consumer->getSession();
    $consumer->close();

    return [$names, $id, bin2hex((string) $state)];
});

observe('the next free session', static function () use ($queue, $entity) {
    $sessions = $queue([], $entity('SESSION_QUEUE'));
    foreach (['x', 'y'] as $session) {
        $sessions->push("of $session", null, ['group' => $session]);
    }
    $consumer = new Consumer($sessions, ['session' => true]);
    $seen = [];
    for ($n = 0; $n < 2 && ($task = $consumer->waitTask(40)) !== null; $n++) {
        $seen[$consumer->getSession()] = $task->getName();
        $task->ack();
    }
    $consumer->close();
    ksort($seen);

    return $seen;
});

observe('no free session', static function () use ($queue, $entity) {
    $consumer = new Consumer($queue([], $entity('SESSION_QUEUE')), ['session' => true]);
    $task = $consumer->waitTask(5);
    $consumer->close();

    return $task?->getName();
});

observe('a topic and its subscription', static function () use ($queue, $entity) {
    $queue([], $entity('TOPIC'))->push('Event', 'e', ['id' => 'event', 'headers' => ['n' => 1]]);

    return take($queue([], $entity('TOPIC') . '/Subscriptions/' . $entity('SUBSCRIPTION')));
});

if (getenv('AMQP1_LIVE_LONG')) {
    observe('twelve minutes without a message, on both ends', static function () use ($queue) {
        $slow = $queue(['max_lock_renewal' => 1000]);
        $slow->push('Before');
        $consumer = new Consumer($slow, ['prefetch' => 1]);
        $task = $consumer->waitTask(15);
        sleep(720);
        $task?->ack();
        $slow->push('After');
        $after = $consumer->waitTask(15);
        $after?->ack();
        $consumer->close();

        return [$task?->getOutcome(), $after?->getName()];
    });
}

observe('nothing is left', static fn () => emptied($queue()));
