<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

/**
 * What a worker's state says of its health.
 */
final class Health
{
    public const STARTING = 'starting';
    public const CONSUMING = 'consuming';
    public const LOST = 'lost';
    public const PAUSED = 'paused';
    public const STOPPING = 'stopping';
    public const STOPPED = 'stopped';

    /** A turn of a worker's loop without a job takes five seconds, or longer while the broker does not answer. */
    private const SILENT_TURN = 12.0;

    /** The longest that a turn may take, seconds: a lost broker is dialled for a minute before the loop goes on. */
    private const LONGEST_TURN = 120.0;

    private function __construct(
        public readonly bool $isAlive,
        public readonly bool $isReady,
        /** One line. */
        public readonly string $text,
    ) {
    }

    /** @return self|null null: the file is not there, or no worker has written it */
    public static function of(string $stateFile): ?self
    {
        $state = StateFile::read($stateFile);

        return $state === null ? null : self::judge($state['now']);
    }

    /**
     * @internal
     *
     * @param array<string, mixed> $now A state's record of that name.
     */
    public static function judge(array $now): self
    {
        $clock = hrtime(true);
        $phase = $now['phase'];
        $worker = "worker $now[pid]";
        $since = $now['since'] === null ? null : ($clock - $now['since']) / 1e9;
        $turned = ($clock - $now['at']) / 1e9;
        if ($phase === self::STOPPED) {
            return new self(false, false, "$worker has stopped");
        }
        if (!Process::isAlive($now['pid'], $now['born'])) {
            return new self(false, false, "$worker is not running: it ended without saying so");
        }
        if ($since !== null && $now['limit'] !== null && $since > $now['limit']) {
            return new self(false, false, sprintf('%s is stuck: its handler has run for %.0f s, longer than %.0f s', $worker, $since, $now['limit']));
        }
        if ($since === null && $turned > max(self::LONGEST_TURN, $now['limit'] ?? 0)) {
            return new self(false, false, sprintf('%s is stuck: its loop has not turned for %.0f s', $worker, $turned));
        }
        if ($phase === self::CONSUMING && $since === null && $turned > self::SILENT_TURN) {
            $phase = self::LOST;
        }
        $does = $since !== null ? sprintf('working on %d %s for %.1f s', $now['in_hand'], $now['in_hand'] === 1 ? 'job' : 'jobs', $since) : 'waiting for jobs';

        return new self(true, $phase === self::CONSUMING, match ($phase) {
            self::CONSUMING => "$worker is $does",
            self::STARTING => "$worker has not reached its broker yet",
            self::LOST => "$worker has lost its broker",
            self::PAUSED => "$worker is paused" . ($since === null ? '' : ", $does"),
            default => "$worker is stopping" . ($since === null ? '' : ", $does"),
        });
    }
}
