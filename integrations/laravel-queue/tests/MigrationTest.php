<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Laravel\Tests\Support\LaravelTestCase;
use Amqp1\Tests\Support\Peer;
use App\Jobs\Note;
use PHPUnit\Framework\Attributes\DataProvider;

/** From a driver over AMQP 0-9-1: jobs that are in the queue already, and the other way round. */
final class MigrationTest extends LaravelTestCase
{
    /** As vyuldashev/laravel-queue-rabbitmq publishes it. @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testJobsOfTheOldDriverAreProcessed(string $broker): void
    {
        $laravel = $this->laravel($broker);
        $source = $this->laravel('embedded')->connection();
        $source->push(new Note('old'));
        $job = $source->pop();
        $payload = $job->getRawBody();
        $job->delete();

        $peer = new Peer($this->broker($broker));
        $peer->declareQueue($laravel->queue, ['x-queue-type' => 'classic']);
        $peer->publish($laravel->queue, $payload, [
            'content_type' => 'application/json', 'delivery_mode' => 2, 'headers' => ['laravel' => ['attempts' => 0]],
        ]);
        $laravel->ran('queue:work', '--stop-when-empty');
        self::assertSame(['old 1'], $laravel->notes());

        $laravel->connection()->push(new Note('new'));
        $message = $peer->get($laravel->queue);
        self::assertNotNull($message);
        self::assertSame('App\Jobs\Note', json_decode($message->getBody(), true)['displayName']);
        self::assertSame('application/json', $message->getContentType());
    }
}
