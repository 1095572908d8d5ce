<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConnectionException;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use Amqp1\Tests\Support\Peer;
use Amqp1\Tests\Support\Proxy;
use PHPUnit\Framework\Attributes\DataProvider;

use function Amqp1\metrics;

/** What may be left of requests: queues of dead requesters, waits for replies that cannot come; and what others make of them. */
final class RequestHazardTest extends ContractTestCase
{
    /** Makes a request, gets the reply from itself, and dies. */
    private const REQUESTER = <<<'PHP'
        $queue = new Amqp1\AmqpQueue($argv[1], $argv[2]);
        $pending = $queue->requestAsync('n', 1);
        $task = $queue->reserve(10);
        $task->reply('one');
        $task->ack();
        echo $pending->get()->getPayload();
        (new Amqp1\AmqpQueue($argv[1], $argv[4]))->requestAsync('n', 2, ['ttl' => 60]);
        if ($argv[3] === 'kill') {
            posix_kill(getmypid(), SIGKILL);
        }
        PHP;

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testNoReplyQueueIsLeft(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $queue->setup();
        $left = $this->queue($broker);
        $left->setup();
        foreach (['end', 'kill', 'kill'] as $how) {
            $child = Child::php(self::REQUESTER, [$at->dsn, $queue->getName(), $how, $left->getName()]);
            $child->wait(20);
            self::assertSame('one', $child->output());
        }
        $this->eventually(fn () => $this->replyQueues($at) === [], 'no queue of a requester that is gone');
        // Their requests are still answered, to nobody.
        $consumer = $this->consumer($left);
        for ($i = 0; $i < 3; ++$i) {
            $task = $this->next($consumer);
            self::assertSame($this->isDirect($at), $task->reply('two'), 'RabbitMQ confirms direct replies to nobody');
            $task->ack();
        }
        self::assertSame([], $this->replyQueues($at));
    }

    /** @return array<string, array{string}> */
    public static function others(): array
    {
        return Brokers::others();
    }

    /** @dataProvider others */
    #[DataProvider('others')]
    public function testOtherBrokersMakeTemporaryQueues(string $broker): void
    {
        $at = $this->broker($broker);
        [$queue, $left] = [$this->queue($broker), $this->queue($broker)];
        $child = Child::php(self::REQUESTER, [$at->dsn, $queue->getName(), 'kill', $left->getName()]);
        $child->wait(30);
        self::assertSame('one', $child->output());
        $task = $this->next($this->consumer($left));
        $start = microtime(true);
        self::assertSame($broker !== 'activemq', $task->reply('two'), 'Artemis and Qpid take it');
        self::assertLessThan(10, microtime(true) - $start);
        $task->ack();
        $pending = $queue->requestAsync('n', 3);
        $task = $this->take($queue);
        self::assertTrue($task->reply('three'));
        self::assertSame('three', $pending->get()->getPayload());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testOneAddressIsEnoughForAProcess(string $broker): void
    {
        $at = $this->broker($broker);
        $seen = [];
        for ($i = 0; $i < 3; ++$i) {
            $queue = $this->queue($broker);
            $pending = $queue->requestAsync('n', $i);
            $task = $this->take($queue);
            $seen[] = $task->getReplyTo();
            self::assertTrue($task->reply($i));
            self::assertSame($i, $pending->get()->getPayload());
        }
        self::assertCount(1, array_unique($seen));
        self::assertStringStartsWith($this->isDirect($at) ? '/queues/amq.rabbitmq.reply-to.' : '/queues/amqp1.replies.', $seen[0]);
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testALostConnectionEndsTheWaitAtOnce(string $broker): void
    {
        $proxy = new Proxy($this->broker($broker));
        $isKept = $this->broker($broker)->isServiceBus();
        $options = ['timeout' => 20] + ($isKept ? ['reply_to' => 'replies-' . bin2hex(random_bytes(4))] : []);
        $name = $this->uniqueName($this->broker($broker));
        $queue = new AmqpQueue($proxy->dsn, $name, $options);
        $direct = $this->queue($broker, [], $name);
        $pending = $queue->requestAsync('n', 1);
        $task = $this->next($consumer = $this->consumer($direct));
        $proxy->cut();
        usleep(100_000);
        $proxy->heal();
        $task->reply('one');
        $task->ack();
        $start = microtime(true);
        if ($isKept) {
            self::assertSame('one', $pending->get()->getPayload(), 'a session keeps it');
        } else {
            $error = $this->thrown(ConnectionException::class, static fn () => $pending->get());
            self::assertTrue($pending->isReady());
            self::assertLessThan(5, microtime(true) - $start);
            self::assertStringContainsString($pending->getId(), $error->getMessage());
            self::assertStringContainsString('unknown whether the request is answered', $error->getMessage());
        }
        $again = $queue->requestAsync('n', 2);
        $task = $this->next($consumer);
        self::assertTrue($task->reply('two'));
        $task->ack();
        self::assertSame('two', $again->get()->getPayload());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testARequesterInAnotherProtocolIsRepliedTo(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker);
        $queue->setup();
        $peer = new Peer($at);
        $answers = $this->uniqueName($at, 'answers');
        $peer->declareQueue($answers);
        $peer->publish($queue->getName(), '{"n":1}', ['reply_to' => $answers, 'correlation_id' => 'c-1', 'content_type' => 'application/json']);
        $task = $this->next($this->consumer($queue));
        self::assertSame('raw', $task->getFormat());
        self::assertTrue($task->reply(['n' => 2], ['headers' => ['a' => 'b']]));
        $task->ack();
        $answer = $peer->get($answers);
        self::assertSame(['c-1', '{"n":2}', 'application/json'], [$answer->getCorrelationId(), $answer->getBody(), $answer->getContentType()]);
        self::assertSame('b', $answer->getHeader('a'));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAWorkerInAnotherProtocolReplies(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = $this->queue($broker, ['format' => 'raw']);
        $queue->setup();
        $pending = $queue->requestAsync('n', ['n' => 1]);
        $peer = new Peer($at);
        $request = $peer->get($queue->getName());
        self::assertSame('{"n":1}', $request->getBody());
        $replyTo = rawurldecode(substr($request->getReplyTo(), strlen(str_starts_with($request->getReplyTo(), '/queues/') ? '/queues/' : '')));
        $before = metrics()['requests']['late'];
        $peer->publish($replyTo, 'nobody', ['correlation_id' => 'another', 'content_type' => 'text/plain']);
        $peer->publish($replyTo, 'without');
        $peer->publish($replyTo, '{"n":2}', ['correlation_id' => $request->getCorrelationId(), 'content_type' => 'application/json']);
        self::assertSame(['n' => 2], $pending->get()->getPayload());
        self::assertSame(2, metrics()['requests']['late'] - $before);
    }

    /** @return list<string> */
    private function replyQueues(Broker $at): array
    {
        if (!Ctl::reaches($at)) {
            self::markTestSkipped('rabbitmqctl does not reach it');
        }
        $names = array_column(Ctl::table($at, 'list_queues', 'name'), 0);

        return array_values(array_filter($names, static fn (string $name) => str_starts_with($name, 'amqp1.replies.') || str_contains($name, 'reply-to')));
    }

    /** Direct reply-to came with RabbitMQ 4.2. */
    private function isDirect(Broker $at): bool
    {
        return version_compare((new AmqpQueue($at->dsn))->getBroker()['version'], '4.2', '>=');
    }
}
