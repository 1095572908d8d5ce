<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop\Tests;

use Amqp1\Exception\ConfigException;
use Amqp1\QueueInterop\ConnectionFactory;
use Amqp1\QueueInterop\Context;
use Amqp1\QueueInterop\Failure;
use Amqp1\QueueInterop\Message;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Peer;
use Interop\Queue\ConnectionFactory as ConnectionFactoryInterface;
use Interop\Queue\Consumer;
use Interop\Queue\Exception as InteropException;
use Interop\Queue\Exception\DeliveryDelayNotSupportedException;
use Interop\Queue\Exception\InvalidDestinationException;
use Interop\Queue\Exception\InvalidMessageException;
use Interop\Queue\Exception\PurgeQueueNotSupportedException;
use Interop\Queue\Exception\TemporaryQueueNotSupportedException;
use Interop\Queue\Queue;
use PHPUnit\Framework\Attributes\DataProvider;

/** An application that is written for queue-interop runs on the extension. */
final class QueueInteropTest extends ContractTestCase
{
    /** @var list<Context> */
    private array $contexts = [];

    protected function tearDown(): void
    {
        foreach ($this->contexts as $context) {
            $context->close();
        }
        $this->contexts = [];
        parent::tearDown();
    }

    /** @return array{Context, Queue} */
    private function context(string $broker, array $options = []): array
    {
        $at = $this->broker($broker);
        $factory = new ConnectionFactory(['dsn' => $at->dsn, 'timeout' => 20] + $options);
        self::assertInstanceOf(ConnectionFactoryInterface::class, $factory);
        $this->contexts[] = $context = $factory->createContext();
        $name = $this->uniqueName($at);
        $this->owned($at, "$name.failed");

        return [$context, $context->createQueue($name)];
    }

    private static function received(Consumer $consumer): Message
    {
        $message = $consumer->receive(10_000);
        self::assertInstanceOf(Message::class, $message);

        return $message;
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testAMessageArrivesAsItWasSent(string $broker): void
    {
        [$context, $queue] = $this->context($broker);
        $properties = ['text' => 'ü', 'digits' => '5', 'int' => 5, 'float' => 2.0, 'yes' => true, 'no' => false, 'list' => ['a', ['b' => null]], 'none' => null];
        $message = $context->createMessage("\x00body\xff", $properties, ['content_type' => 'text/plain', 'subject' => 'OrderCreated']);
        $message->setCorrelationId('corr');
        $message->setReplyTo('answers');
        $context->createProducer()->send($queue, $message);
        $received = self::received($context->createConsumer($queue));

        self::assertSame("\x00body\xff", $received->getBody());
        $got = $received->getProperties();
        unset($properties['none']);
        ksort($properties);
        ksort($got);
        self::assertSame($properties, $got);
        self::assertSame(['none', null, 5], [$received->getProperty('none', 'none'), $received->getProperty('none'), $received->getProperty('int')]);
        self::assertSame(['corr', 'answers', $message->getMessageId(), 'text/plain', 'OrderCreated', false], [$received->getCorrelationId(),
            $received->getReplyTo(), $received->getMessageId(), $received->getHeader('content_type'), $received->getHeader('subject'), $received->isRedelivered()]);
        self::assertEqualsWithDelta(time(), $received->getTimestamp(), 60);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testMessagesAreAcknowledgedRequeuedAndRejected(string $broker): void
    {
        [$context, $queue] = $this->context($broker);
        $producer = $context->createProducer();
        $consumer = $context->createConsumer($queue);
        self::assertSame($queue, $consumer->getQueue());
        self::assertNull($consumer->receiveNoWait());
        $producer->send($queue, $context->createMessage('one'));
        $message = self::received($consumer);
        $consumer->reject($message, true);
        $message = self::received($consumer);
        self::assertSame(['one', true], [$message->getBody(), $message->isRedelivered()]);
        $consumer->acknowledge($message);
        $producer->send($queue, $context->createMessage('two'));
        $consumer->reject(self::received($consumer));
        self::assertNull($consumer->receive(300));
        $jobs = $context->queue($queue);
        $inspector = $this->consumer($jobs->failed());
        $failed = $this->next($inspector);
        self::assertSame(['two', 'rejected'], [$failed->getBody(), $failed->getFailure()['error']]);
        $failed->release();
        $inspector->close();
        self::assertSame(1, $jobs->retryFailed());
        $consumer->acknowledge(self::received($consumer));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testDelayPriorityAndTimeToLive(string $broker): void
    {
        [$context, $queue] = $this->context($broker);
        $producer = $context->createProducer();
        self::assertSame([null, null, null], [$producer->getDeliveryDelay(), $producer->getPriority(), $producer->getTimeToLive()]);
        $since = microtime(true);
        $delayed = static fn () => $producer->setDeliveryDelay(1000)->setPriority(7)->send($queue, $context->createMessage('later'));
        if (!$this->broker($broker)->supports('delay')) {
            $this->thrown(DeliveryDelayNotSupportedException::class, $delayed);

            return;
        }
        $delayed();
        $consumer = $context->createConsumer($queue);
        $message = self::received($consumer);
        self::assertGreaterThan(0.8, microtime(true) - $since);
        self::assertSame(7, $message->getHeader('priority'));
        $consumer->acknowledge($message);
        $producer->setDeliveryDelay(null)->setTimeToLive(300)->send($queue, $context->createMessage('short'));
        $context->close();
        usleep(600_000);
        self::assertNull($context->createConsumer($queue)->receive(300));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testSeveralQueuesAreConsumedTogether(string $broker): void
    {
        [$context, $first] = $this->context($broker);
        $second = $context->createQueue($this->uniqueName($this->broker($broker)));
        $producer = $context->createProducer();
        foreach (range(1, 3) as $n) {
            $producer->send($first, $context->createMessage("first $n"));
            $producer->send($second, $context->createMessage("second $n"));
        }
        $subscriptions = $context->createSubscriptionConsumer();
        $this->thrown(\LogicException::class, static fn () => $subscriptions->consume(100));
        $seen = [];
        $callback = static function (Message $message, Consumer $consumer) use (&$seen): bool {
            $consumer->acknowledge($message);
            $seen[] = $consumer->getQueue()->getQueueName() . ' ' . $message->getBody();

            return count($seen) < 5;
        };
        $consumers = [$context->createConsumer($first), $context->createConsumer($second)];
        foreach ($consumers as $consumer) {
            $subscriptions->subscribe($consumer, $callback);
            $subscriptions->subscribe($consumer, $callback);
        }
        $this->thrown(\InvalidArgumentException::class, static fn () => $subscriptions->subscribe($context->createConsumer($first), $callback));
        $subscriptions->consume(10_000);
        self::assertCount(5, $seen);
        $subscriptions->consume(10_000); // ends with the sixth
        $since = microtime(true);
        $subscriptions->consume(300);
        self::assertEqualsWithDelta(0.3, microtime(true) - $since, 0.25);
        sort($seen);
        [$one, $two] = [$first->getQueueName(), $second->getQueueName()];
        $expected = ["$one first 1", "$one first 2", "$one first 3", "$two second 1", "$two second 2", "$two second 3"];
        sort($expected);
        self::assertSame($expected, $seen);

        $producer->send($first, $context->createMessage('x'));
        $subscriptions->unsubscribe($consumers[0]);
        $subscriptions->consume(200);
        self::assertCount(6, $seen);
        $subscriptions->unsubscribeAll();
        $consumers[0]->acknowledge(self::received($consumers[0]));
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testACallbackMaySubscribeAndUnsubscribeAndThenAcknowledge(string $broker): void
    {
        [$context, $first] = $this->context($broker);
        $second = $context->createQueue($this->uniqueName($this->broker($broker)));
        [$one, $two] = [$context->createConsumer($first), $context->createConsumer($second)];
        foreach ([$first, $second] as $queue) {
            $context->createProducer()->send($queue, $context->createMessage($queue->getQueueName()));
        }
        $subscriptions = $context->createSubscriptionConsumer();
        $seen = [];
        $subscriptions->subscribe($one, static function (Message $message, Consumer $consumer) use (&$seen, $subscriptions, $two): bool {
            $seen[] = $message->getBody();
            $subscriptions->subscribe($two, static function (Message $message, Consumer $consumer) use (&$seen): bool {
                $seen[] = $message->getBody();
                $consumer->acknowledge($message);

                return false;
            });
            $subscriptions->unsubscribe($consumer);
            $consumer->acknowledge($message); // it is still in hand

            return true;
        });
        $subscriptions->consume(10_000);

        self::assertSame([$first->getQueueName(), $second->getQueueName()], $seen);
        self::assertNull($one->receive(200), 'acknowledged');
    }

    public function testATimeThatIsUpWaitsForNothing(): void
    {
        [$context, $queue] = $this->context('embedded');
        $since = microtime(true);
        $consumer = $context->createConsumer($queue);
        self::assertNull($consumer->receive(-1));
        $subscriptions = $context->createSubscriptionConsumer();
        $subscriptions->subscribe($consumer, static fn () => true);
        $subscriptions->consume(-1);
        self::assertLessThan(5, microtime(true) - $since);
    }

    public function testTheFormatCanBeChosen(): void
    {
        [$context, $queue] = $this->context('embedded', ['format' => 'amqp1']);
        $context->createProducer()->send($queue, $context->createMessage('x'));
        $task = self::received($context->createConsumer($queue))->getTask();
        self::assertSame('amqp1', $task->getFormat());
        $task->ack();

        $wrong = $this->thrown(Failure::class, fn () => $this->context('embedded', ['format' => 'xml'])[0]->queue($queue));
        self::assertStringContainsString("'format'", $wrong->getMessage());
    }

    public function testADumpHasNoSecret(): void
    {
        $factory = new ConnectionFactory('amqp1://user:geheim@localhost');
        ob_start();
        var_dump($factory, $factory->createContext(), $factory->createContext()->createProducer());
        self::assertStringNotContainsString('geheim', (string) ob_get_clean());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testATopicReachesEveryQueueThatIsBound(string $broker): void
    {
        [$context, $first] = $this->context($broker);
        $at = $this->broker($broker);
        $second = $context->createQueue($this->uniqueName($at));
        $topic = $context->createTopic($this->exchangeName($at));
        $this->thrown(InteropException::class, static fn () => $context->createProducer()->send($topic, $context->createMessage('lost')));
        $context->bind($topic, $first);
        $context->bind($topic, $second);
        $context->createProducer()->send($topic, $context->createMessage('news'));
        foreach ([$first, $second] as $queue) {
            self::assertSame('news', self::received($context->createConsumer($queue))->getBody());
        }
        $this->thrown(InvalidDestinationException::class, static fn () => $context->createConsumer($topic));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testA091ClientSeesPropertiesAndHeaders(string $broker): void
    {
        [$context, $queue] = $this->context($broker);
        $message = $context->createMessage('body', ['tenant' => 'a', 'n' => 5], ['delivery_mode' => 1, 'content_type' => 'text/plain', 'correlation_id' => 'c']);
        $context->createProducer()->send($queue, $message);
        $seen = (new Peer($this->broker($broker)))->get($queue->getQueueName());

        self::assertSame(['body', 'text/plain', 'c', $message->getMessageId(), 1], [$seen->getBody(), $seen->getContentType(), $seen->getCorrelationId(),
            $seen->getMessageId(), $seen->getDeliveryMode()]);
        self::assertSame(['a', 5], [$seen->getHeader('tenant'), $seen->getHeader('n')]);
    }

    /** @dataProvider brokers */
    #[DataProvider('brokers')]
    public function testALargeMessageAndPurging(string $broker): void
    {
        [$context, $queue] = $this->context($broker);
        $body = random_bytes($this->broker($broker)->supports('large-messages') ? 1 << 20 : 200_000);
        $context->createProducer()->send($queue, $context->createMessage($body));
        $consumer = $context->createConsumer($queue);
        $message = self::received($consumer);
        self::assertSame(md5($body), md5($message->getBody()));
        $consumer->acknowledge($message);
        $context->close();
        $context->createProducer()->send($queue, $context->createMessage('x'));
        if ($this->lacks($broker, 'management', static fn () => $context->purgeQueue($queue), PurgeQueueNotSupportedException::class)) {
            return;
        }
        $context->purgeQueue($queue);
        self::assertNull($context->createConsumer($queue)->receive(300));
    }

    public function testWhatCannotBeSentIsRefused(): void
    {
        [$context, $queue] = $this->context('embedded');
        $send = static fn (Message $message) => $context->createProducer()->send($queue, $message);
        $this->thrown(InvalidMessageException::class, static fn () => $send(new Message('', ['o' => new \stdClass()])));
        $refused = $this->thrown(InvalidMessageException::class, static fn () => $send(new Message('', [], ['x-mine' => 1])));
        self::assertStringContainsString("'x-mine'", $refused->getMessage());
        $refused = $this->thrown(InvalidMessageException::class, static fn () => $send(new Message('', [], ['expiration' => 'soon'])));
        self::assertStringContainsString("'expiration' must be a number of milliseconds", $refused->getMessage());
        $refused = $this->thrown(InvalidMessageException::class, static fn () => $send(new Message('', ['list' => [NAN]])));
        self::assertStringContainsString("Property 'list'", $refused->getMessage());
        $this->thrown(TemporaryQueueNotSupportedException::class, static fn () => $context->createTemporaryQueue());
        $consumer = $context->createConsumer($queue);
        $this->thrown(InvalidMessageException::class, static fn () => $consumer->acknowledge(new Message('not received')));
        $wrong = $this->thrown(Failure::class, static fn () => (new ConnectionFactory('amqp1://localhost?prefetsh=1'))->createContext()->createProducer()
            ->send($queue, new Message('x')));
        self::assertInstanceOf(ConfigException::class, $wrong->getPrevious());
    }
}
