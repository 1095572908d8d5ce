<?php

declare(strict_types=1);

namespace Amqp1\BabelQueue;

use BabelQueue\Codec\EnvelopeCodec;
use BabelQueue\Validation\EnvelopeValidator;

/** What the SDK's arrays cannot say about an envelope's JSON. @internal */
final class Envelope
{
    private const FLAGS = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION;

    /**
     * Why consumers in other languages would not accept it: the SDK's reasons, and those of its specification that an array
     * of PHP hides.
     *
     * @param array<string, mixed> $envelope
     */
    public static function refusal(array $envelope): ?string
    {
        $id = $envelope['meta']['id'] ?? null;

        return EnvelopeValidator::check($envelope) ?? match (true) {
            !is_string($id) || $id === '' => EnvelopeValidator::REASON_MISSING_META,
            $envelope['data'] !== [] && array_is_list($envelope['data']) => EnvelopeValidator::REASON_INVALID_DATA,
            $envelope['attempts'] < 0 => EnvelopeValidator::REASON_INVALID_ATTEMPTS,
            default => null,
        };
    }

    /**
     * The JSON with an object as `data`: PHP writes an empty array as a list.
     *
     * @param array<string, mixed> $envelope The same, decoded.
     */
    public static function withObject(string $json, array $envelope): string
    {
        if ($envelope['data'] !== []) {
            return $json;
        }
        $object = json_decode($json, false, 512, JSON_THROW_ON_ERROR);
        $object->data = new \stdClass();

        return json_encode($object, self::FLAGS);
    }

    /**
     * The changed envelope, with everything that did not change as its writer wrote it: an empty object is not an empty list.
     */
    public static function changed(string $from, string $to): string
    {
        [$old, $new] = [json_decode($from), json_decode($to)];
        if (!is_object($old) || !is_object($new)) {
            return $to;
        }
        [$was, $is] = [json_decode($from, true), json_decode($to, true)];
        foreach ($is as $key => $value) {
            // By their JSON: to the SDK, 2.0 is 2.
            if (array_key_exists($key, $was) && EnvelopeCodec::encode([$was[$key]]) === EnvelopeCodec::encode([$value])) {
                $new->{$key} = $old->{$key};
            }
        }

        return json_encode($new, self::FLAGS);
    }
}
