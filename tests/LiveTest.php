<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\SdkPeer;
use PHPUnit\Framework\TestCase;

/** `make live` reports where a namespace differs from the dialect, and reveals no secret. */
final class LiveTest extends TestCase
{
    private const KEY = 'c2VjcmV0LW9mLW1pbmU=';

    /** @param array<string, string> $environment */
    private static function live(array $environment): Child
    {
        return Child::command([dirname(__DIR__) . '/scripts/live'], $environment + ['CI' => '']);
    }

    public function testItTellsWhatDiffersAndKeepsTheKey(): void
    {
        SdkPeer::orSkip();
        $namespace = ProgramBroker::start(['--dialect', 'servicebus', '--access-rule', 'Mine:' . self::KEY,
            '--config', __DIR__ . '/live/Config.json', '--max-message-size', '1048576']);
        $endpoint = $namespace->address();
        $report = tempnam(sys_get_temp_dir(), 'amqp1-live-');
        $run = self::live(['AMQP1_LIVE_REPORT' => $report, 'AMQP1_LIVE_DUPLICATES_QUEUE' => 'amqp1-live-nowhere',
            'AMQP1_LIVE_ONLY' => '^(open|CBS|attach|drain|management|duplicates)|extension: (push|by SASL|a wrong|a missing|duplicates)',
            'AMQP1_LIVE_SERVICEBUS' => "Endpoint=sb://$endpoint/;SharedAccessKeyName=Mine;SharedAccessKey=" . self::KEY
                . ';UseDevelopmentEmulator=true']);
        self::assertSame(0, $run->wait(120), $run->output());
        $said = $run->output();
        $namespace->stop();

        preg_match_all('/^DIFFERS: +(.*)$/m', $said, $differs);
        self::assertSame(['attach: sender, max_message_size', 'attach: receiver, max_message_size'], $differs[1], $said);
        self::assertStringContainsString("namespace: 1048576\n          dialect:   262144", $said);
        preg_match_all('/^left out +(.*)$/m', $said, $left);
        self::assertSame(['duplicates: there is no amqp1-live-nowhere', 'extension: duplicates are dropped: there is no amqp1-live-nowhere'],
            $left[1], $said);
        foreach (['open: channel_max = 4999', 'CBS: a token of a wrong key = [401,"amqp:unauthorized-access"]',
            'CBS: a token for a missing entity = [404,"amqp:not-found"]',
            'attach: a missing entity, sender = amqp:not-found', 'management: cancel again = [404,"com.microsoft:message-not-found"]',
            'extension: push and take = ["Order",{"id":7},"job-7",1]', 'extension: by SASL PLAIN = ["Plain","p","plain",1]'] as $same) {
            self::assertStringContainsString("same      $same\n", $said);
        }
        $written = (string) file_get_contents($report);
        self::assertStringContainsString($written, $said);
        foreach ([self::KEY, rawurlencode(self::KEY), explode(':', $endpoint)[0]] as $secret) {
            self::assertStringNotContainsString($secret, $written);
        }
        unlink($report);
    }

    public function testWithoutANamespaceNothingIsDone(): void
    {
        $run = self::live(['AMQP1_LIVE_SERVICEBUS' => '']);
        self::assertSame(0, $run->wait(20));
        self::assertStringContainsString('Set AMQP1_LIVE_SERVICEBUS to', $run->output());

        $run = self::live(['AMQP1_LIVE_SERVICEBUS' => 'Endpoint=sb://ns.servicebus.windows.net/', 'CI' => '1']);
        self::assertSame(0, $run->wait(20));
        self::assertStringContainsString('does not run in CI', $run->output());
    }
}
