<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Laravel\Tests\Support\Laravel;
use Amqp1\Tests\Support\ProgramBroker;
use App\Jobs\Grouped;
use PHPUnit\Framework\TestCase;

/** Sessions of Service Bus: the jobs of a group one after the other, by one worker at a time. */
final class SessionTest extends TestCase
{
    public function testAWorkerTakesOneSessionAfterTheOther(): void
    {
        $broker = ProgramBroker::serviceBus(['--session-queue', 'orders']);
        $laravel = new Laravel(
            'amqp://RootManageSharedAccessKey:SAS_KEY_VALUE@' . $broker->address() . '/?dialect=servicebus',
            'orders',
            ['consumer' => ['session' => true], 'timeout' => 20, 'block_for' => 1]
        );
        try {
            foreach ([1, 2] as $n) {
                foreach (['acme', 'umbrella'] as $group) {
                    $laravel->connection()->push(new Grouped("$group-$n", $group === 'acme' && $n === 1 ? 'throw-until repaired' : ''));
                }
            }
            $worker = $laravel->worker('--sleep=0.1', '--tries=1');
            $notes = array_filter($laravel->waitForNotes(5), static fn (string $note) => !str_contains($note, 'failed'));
            self::assertSame(['acme-1 1', 'acme-2 1'], array_values(preg_grep('/^acme/', $notes) ?: []));
            self::assertSame(['umbrella-1 1', 'umbrella-2 1'], array_values(preg_grep('/^umbrella/', $notes) ?: []));
            // Back into its session.
            $laravel->until(static fn () => $laravel->failedJobs() ?: null, 5, static fn () => 'a failed job');
            $laravel->touch('repaired');
            $laravel->ran('queue:retry', 'all');
            self::assertSame('acme-1 1', $laravel->waitForNotes(6)[5]);
            $worker->signal(SIGTERM);
            self::assertSame(0, $worker->wait());
        } finally {
            $laravel->remove();
        }
    }
}
