<?php

declare(strict_types=1);

namespace Amqp1\Command\Doctor;

/**
 * What a broker of this kind and version cannot do, and how long it lets a job run.
 *
 * @internal
 */
final class Limits
{
    /** Seconds, unless an option or the broker's settings say otherwise. */
    private const CONSUMER_TIMEOUT = 1800;
    private const MAX_LOCK_RENEWAL = 300;

    /**
     * @param array{dialect: string, product: string, version: string} $broker
     * @param float|null $longest how long the longest job runs, in seconds
     *
     * @return list<Finding>
     */
    public static function findings(array $broker, ?float $longest): array
    {
        $name = trim("$broker[product] $broker[version]");
        $isRabbit = stripos($broker['product'], 'rabbit') !== false;
        $findings = [];
        if ($isRabbit && version_compare($broker['version'], '4.0', '<')) {
            $findings[] = Finding::note('broker', "$name speaks AMQP 1.0 by a plugin: delays, counts, declaring and more are missing",
                'Update to RabbitMQ 4; docs/brokers.md lists what is missing');
        } elseif ($broker['dialect'] === 'generic') {
            $findings[] = Finding::note('broker', "$name is a kind of broker that amqp1 has no dialect for: what is standard works, delays and counts do not",
                'docs/brokers.md lists what works; set the option "dialect" if it is one of these brokers behind a proxy');
        }
        [$limit, $option, $what] = match (true) {
            $isRabbit && version_compare($broker['version'], '4.3', '>=') => [self::CONSUMER_TIMEOUT, 'consumer_timeout', 'a quorum queue takes a job back'],
            str_starts_with($broker['dialect'], 'servicebus') => [self::MAX_LOCK_RENEWAL, 'max_lock_renewal', "a job's lock is no longer renewed"],
            default => [null, '', ''],
        };
        if ($limit === null) {
            return $findings;
        }
        $text = "without the option $option, $what after $limit s";
        $findings[] = match (true) {
            $longest === null => Finding::note('long jobs', $text,
                "If jobs run longer, set the option $option of their queue. --longest-job SECONDS compares"),
            $longest > $limit => Finding::problem('long jobs', sprintf('%s, and the longest job runs %g s: it would run again', $text, $longest),
                sprintf("Set '%s' => %d on the queue", $option, (int) ceil($longest * 1.5))),
            default => Finding::ok('long jobs', sprintf('%s; the longest job runs %g s', $text, $longest)),
        };

        return $findings;
    }
}
